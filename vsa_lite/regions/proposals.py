"""Where things may be: windows, selective search, and the choice of a picture's regions (chapter 5).

A proposer is called with a picture (and its name) and gives `Proposals`: boxes with scores. `select_regions` then picks
R = 20 of them: the whole picture first, then the best 19 that do not repeat each other. Proposers that know kinds of
things are in `detections` and `region_cnn`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor

from vsa_lite.data.records import Record
from vsa_lite.regions.boxes import WHOLE_PICTURE, box_area, box_iou, check_boxes, non_maximum_suppression

MINIMUM_SIDE = 4  # pixels
MINIMUM_AREA = 0.001  # share of the picture
SAME_AS_WHOLE = 0.95  # a proposal that covers this much of the picture says nothing new beside the whole picture


@dataclass(frozen=True, eq=False)
class Proposals:
    """Boxes where things may be, with how sure their maker is of each.

    Attributes:
        boxes: (x0, y0, x1, y1), shares of the picture's sides, 0 to 1; float32.
        scores: higher is surer; only the order matters; float32.
        labels: the kind of thing in each box, where the proposer knows kinds; else empty.

    Raises:
        ValueError: for a box out of 0..1, or boxes, scores and labels of different number.
    """

    boxes: Float[Tensor, "n 4"]
    scores: Float[Tensor, " n"]
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.boxes)
        if self.boxes.shape != (n, 4) or self.scores.shape != (n,) or len(self.labels) not in (0, n):
            raise ValueError(
                f"proposals need n boxes [n, 4], n scores and n labels or none; got boxes {tuple(self.boxes.shape)}, "
                f"scores {tuple(self.scores.shape)}, {len(self.labels)} labels"
            )
        if not torch.isfinite(self.scores).all():
            raise ValueError(f"score {int((~torch.isfinite(self.scores)).nonzero()[0])} of the proposals is not finite")
        check_boxes(self.boxes)

    def __len__(self) -> int:
        return len(self.boxes)

    def keep(self, chosen: Tensor) -> Proposals:
        """Some of them: a mask, or indices in the wanted order."""
        order = chosen.nonzero()[:, 0] if chosen.dtype == torch.bool else chosen
        labels = tuple(self.labels[i] for i in order.tolist()) if self.labels else ()
        return Proposals(self.boxes[order], self.scores[order], labels)


class Proposer(Protocol):
    """Anything that proposes boxes for a picture; `name` is the record's name, for those that look things up."""

    def __call__(self, image: Image.Image, name: str = "") -> Proposals: ...


def worth_a_look(boxes: Float[Tensor, "n 4"], size: tuple[int, int]) -> Bool[Tensor, " n"]:
    """True where a box is at least 4 pixels wide and high and covers at least a thousandth of the picture.

    Args:
        boxes: shares of the picture's sides.
        size: width and height of the picture in pixels, as in `image.size`.
    """
    sides = (boxes[:, 2:] - boxes[:, :2]) * torch.tensor(size, dtype=boxes.dtype)  # (n, 2), pixels
    return (sides >= MINIMUM_SIDE).all(1) & (box_area(boxes) >= MINIMUM_AREA)


def select_regions(
    boxes: Float[Tensor, "n 4"],
    scores: Float[Tensor, " n"],
    count: int = 20,
    nms_iou: float = 0.5,
    fill_boxes: Float[Tensor, "m 4"] | None = None,
) -> tuple[Float[Tensor, "count 4"], Bool[Tensor, " count"]]:
    """The regions of a picture: the whole picture, then the `count - 1` best boxes after non-maximum suppression.

    Args:
        boxes: proposals, shares of the picture's sides; n may be 0.
        scores: one for each box; higher is better.
        count: R, regions a picture; the paper has 20.
        nms_iou: a box goes if it overlaps a better one by more than this.
        fill_boxes: boxes to go on with, in this order, where the proposals run out; windows, for instance.

    Returns:
        Boxes, zeros where there are none left, and the mask of the real ones.

    Raises:
        ValueError: for a count below 1, a bad box or score, or an `nms_iou` out of 0..1.

    Source: Karpathy and Fei-Fei 2015, section 3.1.1 (top 19 detections and the whole image).
    """
    if count < 1:
        raise ValueError(f"count must be at least 1 (the whole picture), got {count}")
    found = Proposals(boxes.float(), scores.float())
    ordered = found.boxes[found.scores.argsort(descending=True, stable=True)]
    if fill_boxes is not None:
        check_boxes(fill_boxes)
        ordered = torch.cat([ordered, fill_boxes.float()])  # (n + m, 4)
    whole = torch.tensor([WHOLE_PICTURE])
    ordered = ordered[(box_area(ordered) >= MINIMUM_AREA) & (box_iou(ordered, whole)[:, 0] < SAME_AS_WHOLE)]
    # ranks for scores: a fill box comes after every proposal, whatever the scale of the scores
    best = non_maximum_suppression(ordered, -torch.arange(len(ordered), dtype=torch.float32), nms_iou)[: count - 1]
    regions = torch.zeros(count, 4)
    regions[0] = whole[0]
    regions[1 : 1 + len(best)] = ordered[best].clamp(0, 1)
    return regions, torch.arange(count) < 1 + len(best)


class ProposedRegions:
    """Picks the regions of a record's picture with a proposer: what `extract_features` asks for.

    Args:
        proposer: says where things may be.
        count: R, regions a picture, the whole one included.
        nms_iou: a box goes if it overlaps a better one by more than this.
        fill: another proposer, whose boxes go on where the first has no more; windows, for instance.
    """

    def __init__(self, proposer: Proposer, count: int = 20, nms_iou: float = 0.5, fill: Proposer | None = None) -> None:
        self.proposer, self.count, self.nms_iou, self.fill = proposer, count, nms_iou, fill

    def __call__(self, record: Record, image: Image.Image) -> tuple[Float[Tensor, "count 4"], Bool[Tensor, " count"]]:
        """Boxes and mask, as :func:`select_regions` gives them."""
        found = self.proposer(image, record.name)
        fill = self.fill(image, record.name).boxes if self.fill is not None else None
        return select_regions(found.boxes, found.scores, self.count, self.nms_iou, fill)


class GridWindows:
    """Sliding windows of a few sizes and shapes: they need no network and see nothing, so they are always there.

    Args:
        scales: sides of the windows, square root of the share of the picture they cover.
        aspects: width / height of the windows, in pixels.
        overlap: share of a window's side that its neighbour shares, 0 to below 1.

    Raises:
        ValueError: for a scale out of 0..1, an aspect not above 0, or an overlap out of 0..1.
    """

    def __init__(
        self,
        scales: Sequence[float] = (0.7, 0.5, 0.35),
        aspects: Sequence[float] = (1.0, 0.6, 1.7),
        overlap: float = 0.5,
    ) -> None:
        if not scales or not all(0 < scale <= 1 for scale in scales):
            raise ValueError(f"scales must be above 0 and at most 1, got {tuple(scales)}")
        if not aspects or not all(aspect > 0 for aspect in aspects):
            raise ValueError(f"aspects must be above 0, got {tuple(aspects)}")
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap must be at least 0 and below 1, got {overlap}")
        self.scales, self.aspects, self.overlap = tuple(scales), tuple(aspects), overlap

    def boxes(self, size: tuple[int, int] = (1, 1)) -> Float[Tensor, "n 4"]:
        """All windows for pictures of this width and height, in the order of `scales`."""
        windows = []
        for scale in self.scales:
            for aspect in self.aspects:
                shape = (aspect * size[1] / size[0]) ** 0.5
                w, h = min(1.0, scale * shape), min(1.0, scale / shape)
                x0, y0 = (
                    torch.linspace(0, 1 - side, 1 + int(np.ceil((1 - side) / (side * (1 - self.overlap)) - 1e-6)))
                    for side in (w, h)
                )
                corners = torch.cartesian_prod(y0, x0).flip(1)  # (n, 2), row by row
                windows.append(torch.cat([corners, corners + torch.tensor([w, h])], 1))  # (n, 4)
        return torch.cat(windows).clamp(0, 1)

    def __call__(self, image: Image.Image, name: str = "") -> Proposals:
        """All windows, larger ones first."""
        boxes = self.boxes(image.size)
        boxes = boxes[worth_a_look(boxes, image.size)]
        return Proposals(boxes, box_area(boxes))


class SelectiveSearch:
    """Selective search: boxes around pieces of the picture that grow together by colour, texture, size and fit.

    It knows no kinds of things and needs no training: R-CNN's own proposals. OpenCV orders its boxes by C's unseeded
    random numbers; here the boxes are put in the paper's order, largest groups first but shuffled (v_i = RND x i), by a
    seeded generator, so that the same picture always gives the same proposals.

    Args:
        mode: "fast" (few segmentations) or "quality" (more boxes, several times slower).
        working_size: longest side in pixels that the picture is reduced to.
        seed: of the order.

    Raises:
        ValueError: for another mode, or a working size below 16.
        ImportError: where OpenCV with its contrib modules is missing.

    Source: Uijlings, van de Sande, Gevers and Smeulders 2013.
    """

    def __init__(self, mode: str = "fast", working_size: int = 200, seed: int = 0) -> None:
        if mode not in ("fast", "quality"):
            raise ValueError(f"mode must be fast or quality, got {mode!r}")
        if working_size < 16:
            raise ValueError(f"working_size must be at least 16 pixels, got {working_size}")
        try:
            from cv2.ximgproc import segmentation  # noqa: F401
        except ImportError as error:
            raise ImportError(
                "selective search needs OpenCV with its contrib modules: pip install 'vsa-lite[selective-search]' "
                "(and uninstall other opencv-python packages: they hide it)"
            ) from error
        self.mode, self.working_size, self.seed = mode, working_size, seed

    def __call__(self, image: Image.Image, name: str = "") -> Proposals:
        """Boxes around groups of segments; the scores fall evenly from 1."""
        from cv2.ximgproc import segmentation

        small = image.convert("RGB")
        small.thumbnail((self.working_size, self.working_size))
        search = segmentation.createSelectiveSearchSegmentation()
        search.setBaseImage(np.ascontiguousarray(np.asarray(small)[..., ::-1]))  # OpenCV wants BGR
        search.switchToSelectiveSearchFast() if self.mode == "fast" else search.switchToSelectiveSearchQuality()
        found = np.unique(search.process().reshape(-1, 4), axis=0)  # (n, 4) x, y, w, h in pixels, in a fixed order
        order = np.argsort(-found[:, 2] * found[:, 3], kind="stable")
        place = np.random.default_rng(self.seed).random(len(order)) * np.arange(1, len(order) + 1)  # RND x i
        found = found[order[np.argsort(place)]]
        corners = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:]], axis=1)
        boxes = torch.from_numpy((corners / np.tile(small.size, 2)).astype(np.float32)).clamp(0, 1)
        boxes = boxes[worth_a_look(boxes, small.size)]
        return Proposals(boxes, 1 - torch.arange(len(boxes)) / max(1, len(boxes)))
