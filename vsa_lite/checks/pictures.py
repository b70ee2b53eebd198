"""Self-checks of chapters 4 and 5: your function is tried on random input; what is wrong with it comes with a hint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from vsa_lite.checks import self_check
from vsa_lite.regions.boxes import box_area, box_iou, non_maximum_suppression
from vsa_lite.regions.proposals import GridWindows, select_regions


def _same(got: Tensor, wanted: Tensor) -> bool:
    return got.shape == wanted.shape and torch.allclose(got.to(wanted.dtype), wanted, atol=1e-4, rtol=1e-4)


def _expect(name: str, got: object, wanted: Tensor, mistakes: Mapping[str, Tensor], what: str) -> None:
    """Raise AssertionError with the hint of the mistake that gives what was got, or with shapes and a number."""
    got = torch.as_tensor(got) if isinstance(got, np.ndarray | list) else got  # as numbers they are as good
    assert isinstance(got, Tensor), f"{name} must return a tensor, got {type(got).__name__}"
    if _same(got, wanted):
        return
    for hint, mistake in mistakes.items():
        assert not _same(got, mistake), f"{name}: {hint}"
    assert got.shape == wanted.shape, f"{name}: wanted {what}, shape {tuple(wanted.shape)}, got {tuple(got.shape)}"
    off = float((got.to(wanted.dtype) - wanted).abs().max())
    raise AssertionError(f"{name}: the shape is right, but a number is off by {off:.3g}; {what}")


@self_check
def check_normalise(normalise: Callable) -> None:
    """Try `normalise(pixels, mean, std)`: bytes [n, height, width, 3] to the network's input [n, 3, height, width]."""
    rng = np.random.default_rng(0)
    for (n, height, width), mean, std in (
        ((2, 5, 7), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ((1, 6, 4), (0.5, 0.3, 0.6), (0.4, 0.3, 0.2)),
        ((3, 3, 3), (0.2, 0.4, 0.1), (0.5, 0.6, 0.7)),
    ):
        pixels = rng.integers(0, 256, (n, height, width, 3), dtype=np.uint8)
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
        m, s = (torch.tensor(values)[:, None, None] for values in (mean, std))
        right = (x / 255 - m) / s  # as Transform.normalise, which is for squares
        mistakes = {
            "bytes go from 0 to 255, mean and std are for 0 to 1: scale the bytes before all else": (x - m) / s,
            "you scaled to 0 to 1 but left out mean and std": x / 255,
            "you left out std": x / 255 - m,
            "you left out the mean": x / 255 / s,
            "mean and std came in the wrong order: the mean is in units of the pixels": x / 255 / s - m,
            "channels come second, (n, 3, height, width)": right.permute(0, 2, 3, 1),
            "red and blue have changed places": (x.flip(1) / 255 - m) / s,
            "height and width have changed places": right.transpose(2, 3),
        }
        _expect("normalise", normalise(pixels, mean, std), right, mistakes, "one number for each channel and place")
    print("normalise is right: the same numbers as Transform.normalise.")


@self_check
def check_convolve(convolve: Callable) -> None:
    """Try `convolve(picture, kernel)`: [channels, height, width] and [channels, 3, 3] to [height - 2, width - 2]."""
    generator = torch.Generator().manual_seed(0)
    for channels, height, width in ((3, 7, 7), (2, 5, 9), (4, 8, 6)):
        picture = torch.randn(channels, height, width, generator=generator)
        kernel = torch.randn(channels, 3, 3, generator=generator)

        def slide(kernel: Tensor, padding: int = 0, picture: Tensor = picture) -> Tensor:
            return torch.nn.functional.conv2d(picture[None], kernel[None], padding=padding)[0, 0]

        right = slide(kernel)
        each = torch.nn.functional.conv2d(picture[None], kernel[:, None], groups=channels)[0]
        mistakes = {
            "you turned the kernel round; a network's convolution does not": slide(kernel.flip(1, 2)),
            "rows and columns of the kernel have changed places": slide(kernel.mT),
            "add up over channels too: one number for each place": each,
            "take the sum over channels, not the mean": each.mean(0),
            "no padding here: the kernel stays inside the picture": slide(kernel, padding=1),
        }
        _expect("convolve", convolve(picture, kernel), right, mistakes, "a sum over channels and the 3 x 3 places")
    print("convolve is right: the same numbers as torch's conv2d.")


def _random_boxes(count: int, generator: torch.Generator, largest: float = 0.5) -> Tensor:
    corner, side = torch.rand(count, 2, generator=generator), torch.rand(count, 2, generator=generator)
    corner, side = corner * (1 - largest), 0.05 + side * (largest - 0.05)
    return torch.cat([corner, corner + side], 1)


@self_check
def check_iou(iou: Callable) -> None:
    """Try `iou(a, b)`: boxes [n, 4] and [m, 4], as shares of a picture, to their overlaps [n, m]."""
    generator = torch.Generator().manual_seed(0)
    for n, m in ((6, 4), (3, 7), (1, 2)):
        a, b = _random_boxes(n, generator), _random_boxes(m, generator)
        b[-1] = a[0]  # the same box: 1
        sides = torch.minimum(a[:, None, 2:], b[None, :, 2:]) - torch.maximum(a[:, None, :2], b[None, :, :2])
        both, areas = sides.clamp(min=0).prod(2), box_area(a)[:, None] + box_area(b)
        smaller = torch.minimum(box_area(a)[:, None], box_area(b))
        apart = "boxes that lie apart have negative sides, and two of them give a positive product: clamp at 0"
        mistakes = {
            apart: sides.prod(2) / (areas - sides.prod(2)),
            "the union is both areas less what they share, which you counted twice": both / areas,
            "you divided by the smaller area; IoU divides by the union": both / smaller,
            "this is the intersection; divide it by the union": both,
            "rows are for a, columns for b: the result is turned round": box_iou(b, a),
        }
        _expect("iou", iou(a, b), box_iou(a, b), mistakes, "intersection over union of every a with every b")
    print("iou is right: the same numbers as box_iou.")


@self_check
def check_suppress(suppress: Callable) -> None:
    """Try `suppress(boxes, scores, threshold)`: indices of the boxes that stay, best first."""
    generator = torch.Generator().manual_seed(0)
    for count, threshold in ((1, 0.5), (12, 0.5), (40, 0.3), (30, 0.7)):
        # b overlaps a, and c overlaps b only: where b has gone, c stays
        chain = torch.tensor([[0, 0.0, 0.4, 0.4], [0.1, 0, 0.5, 0.4], [0.2, 0, 0.6, 0.4]])
        boxes = torch.cat([chain, _random_boxes(count, generator)])
        scores = torch.cat([torch.tensor([3.0, 2, 1.5]), torch.rand(count, generator=generator)])
        right = non_maximum_suppression(boxes, scores, threshold)
        order = scores.argsort(descending=True)
        over = (box_iou(boxes[order], boxes[order]) > threshold).tril(-1)
        got = suppress(boxes, scores, threshold)
        mistakes = {
            "nothing was suppressed: a box goes if it overlaps a better one that stays": order,
            "a box that has gone suppresses no other: compare with those that stay only": order[~over.any(1)],
            "indices in the order of the scores, please, best first": right.sort().values,
            "return indices, not the boxes": boxes[right],
            "the threshold is given: use it": non_maximum_suppression(boxes, scores, 0.5),
        }
        _expect("suppress", got, right, mistakes, "indices of the boxes that stay, best first")
    print("suppress is right: the same boxes as torchvision's nms.")


def _pooled(features: Tensor, side: int, corners: Tensor, samples: int = 2, aligned: bool = True) -> Tensor:
    from torchvision.ops import roi_align

    return roi_align(features[None], [corners[None]], side, sampling_ratio=samples, aligned=aligned)[0]


@self_check
def check_pool_region(pool_region: Callable) -> None:
    """Try `pool_region(features, box, side)`: RoIAlign, [channels, height, width] to [channels, side, side]."""
    generator = torch.Generator().manual_seed(0)
    for shape, box, side in (
        ((4, 7, 10), (0.12, 0.31, 0.73, 0.82), 3),
        ((2, 9, 6), (0.4, 0.05, 0.55, 0.95), 2),
        ((3, 5, 8), (0.0, 0.0, 1.0, 1.0), 4),
    ):
        features = torch.randn(shape, generator=generator)
        cells = torch.tensor(box) * torch.tensor([shape[2], shape[1], shape[2], shape[1]])
        torchvisions = partial(_pooled, features, side, cells)

        mistakes = {
            "the value of cell 0 sits at its centre, 0.5: subtract half a cell": torchvisions(aligned=False),
            "you rounded the box to whole cells; RoIAlign keeps the fractions": _pooled(features, side, cells.round()),
            "four places in each cell, 2 x 2, and their mean; one is not enough": torchvisions(samples=1),
            "x runs along the width, which is the last axis: rows and columns have changed places": torchvisions().mT,
        }
        got = pool_region(features, torch.tensor(box), side)
        _expect("pool_region", got, torchvisions(), mistakes, "the mean of 2 x 2 interpolated values in each cell")
    print("pool_region is right: the same numbers as torchvision's roi_align.")


@self_check
def check_top_regions(top_regions: Callable) -> None:
    """Try `top_regions(boxes, scores, count)`: the whole picture and the count - 1 best boxes that do not repeat."""
    generator = torch.Generator().manual_seed(0)
    for count, scale in ((1, 0.3), (5, 0.3), (8, 0.25)):
        windows = GridWindows(scales=(scale,), aspects=(1.0,), overlap=0.7).boxes()
        boxes = windows[torch.randperm(len(windows), generator=generator)]
        scores = torch.rand(len(boxes), generator=generator)
        overlap = box_iou(boxes, boxes)
        scores[overlap[scores.argmax()].topk(2).indices] = torch.tensor([2.0, 1.0])  # the best, and one much like it
        right = select_regions(boxes, scores, count)[0]
        more = select_regions(boxes, scores, count + 1)[0]
        order = scores.argsort(descending=True)
        mistakes = {
            "the whole picture is one of the count: take count - 1 boxes": more,
            "the whole picture is missing: it comes first": more[1:],
            "the whole picture comes first, not last": torch.cat([right[1:], right[:1]]),
            "boxes that say the same crowd out the others: suppress before you take the best": torch.cat(
                [right[:1], boxes[order[: count - 1]]]
            ),
        }
        _expect("top_regions", top_regions(boxes, scores, count), right, mistakes, "the whole picture, then the best")
    print("top_regions is right: the same boxes as select_regions.")
