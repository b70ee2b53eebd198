"""A region CNN small enough to train here: it names windows of a picture and moves them onto things (chapter 5).

The family is R-CNN's: pretrain on pictures of single things, fine-tune on windows of whole scenes (a kind of thing, or
background), then use it twice, to propose regions and to describe them. CNN(I_b) is fc7, the layer immediately before
the classifier. Training is in `region_cnn_training`.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn

from vsa_lite.regions.backbones import Backbone, Transform
from vsa_lite.regions.boxes import box_area
from vsa_lite.regions.proposals import MINIMUM_AREA, GridWindows, Proposals
from vsa_lite.tensor_files import content_digest, write_tensors

HALVINGS = 3  # the first stages halve the map, later ones keep it: a cell is 8 x 8 pixels, fine enough for small things
BACKGROUND = 0  # the class of a window without a thing; kinds of things count from 1
REFINEMENT_SCALE = (0.1, 0.1, 0.2, 0.2)  # brings the four numbers of a move to about unit size
# windows that detection starts from: small ones dense, so that every thing has one nearby
WINDOWS = GridWindows(scales=(0.11, 0.16, 0.23, 0.33, 0.47, 0.66), aspects=(1.0,), overlap=0.5)


def box_moves(boxes: Float[Tensor, "*n 4"], targets: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    r"""The move from a window P to a box G: shifts in units of P's sides, and logarithms of the change of size.

    .. math:: (t_x, t_y, t_w, t_h) = \Big(\frac{G_x - P_x}{P_w}, \frac{G_y - P_y}{P_h}, \log\frac{G_w}{P_w},
              \log\frac{G_h}{P_h}\Big)

    (x, y is the centre), each divided by its usual spread. Source: Girshick et al. 2014, appendix C.
    """
    size, target_size = ((b[..., 2:] - b[..., :2]).clamp(min=1e-4) for b in (boxes, targets))
    shift = (targets[..., :2] + targets[..., 2:] - boxes[..., :2] - boxes[..., 2:]) / (2 * size)
    return torch.cat([shift, (target_size / size).log()], -1) / boxes.new_tensor(REFINEMENT_SCALE)


def move_boxes(boxes: Float[Tensor, "*n 4"], moves: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """Windows after their moves, cut off at the picture's edge: the inverse of :func:`box_moves`."""
    shift, growth = (moves * boxes.new_tensor(REFINEMENT_SCALE)).split(2, -1)
    size = boxes[..., 2:] - boxes[..., :2]
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2 + shift * size
    half = size * growth.clamp(-2, 2).exp() / 2
    return torch.cat([centre - half, centre + half], -1).clamp(0, 1)


def _interpolation(start: Tensor, stop: Tensor, cells: int, pool_size: int, samples: int = 2) -> Tensor:
    """Weights [..., pool_size, cells] with which each pooled cell looks at the map's cells along one axis."""
    place = (torch.arange(pool_size * samples, device=start.device, dtype=start.dtype) + 0.5) / (pool_size * samples)
    at = (start + (stop - start) * place) * cells - 0.5  # (..., pool_size * samples), in cells; centres are whole
    distance = (at.clamp(0, cells - 1)[..., None] - torch.arange(cells, device=start.device)).abs()
    weights = (1 - distance).clamp(min=0)  # (..., pool_size * samples, cells), linear interpolation
    return weights.unflatten(-2, (pool_size, samples)).mean(-2)


def pool_regions(
    maps: Float[Tensor, "n c height width"], boxes: Float[Tensor, "n regions 4"], pool_size: int
) -> Float[Tensor, "n regions c pool_size pool_size"]:
    """RoIAlign with 2 x 2 samples a cell, as two matrix products: first along the height, then along the width.

    The numbers are torchvision's `roi_align(..., sampling_ratio=2, aligned=True)`; with gradients this takes less than
    half the time on a CPU. Without gradients, torchvision's is the faster one.
    """
    n, c, height, width = maps.shape
    x0, y0, x1, y1 = boxes[..., None].unbind(-2)  # (n, regions, 1) each
    rows = _interpolation(y0, y1, height, pool_size).flatten(1, 2)  # (n, regions * pool_size, height)
    columns = _interpolation(x0, x1, width, pool_size)  # (n, regions, pool_size, width)
    strips = rows @ maps.permute(0, 2, 3, 1).flatten(2)  # (n, regions * pool_size, width * c)
    strips = strips.view(n, -1, pool_size, width, c)
    return (columns[:, :, None] @ strips).permute(0, 1, 4, 2, 3)  # (n, regions, c, pool_size, pool_size)


class RegionCNN(nn.Module):
    """Convolutions to a map, RoIAlign to a small square, fc7, then a classifier and a refinement of the box.

    Args:
        kinds: names of the kinds of things; background is added.
        generator: of the initial weights.
        size: side in pixels that scenes are squashed to.
        widths: channels of the stages; the first three halve the map, later ones keep it.
        feature_size: size of fc7.
        pool_size: side of a pooled region, in cells.

    Raises:
        ValueError: without a kind, for a kind named twice, or a size that leaves no map.
    """

    def __init__(
        self,
        kinds: Sequence[str],
        generator: torch.Generator,
        size: int = 224,
        widths: Sequence[int] = (16, 32, 64, 96, 96),
        feature_size: int = 256,
        pool_size: int = 3,
    ) -> None:
        super().__init__()
        if not kinds or len(set(kinds)) != len(kinds):
            raise ValueError(f"kinds must be different names, at least one; got {tuple(kinds)}")
        if size < 32:
            raise ValueError(f"size must be at least 32 pixels, got {size}")
        self.config = {
            "kinds": list(kinds),
            "size": size,
            "widths": list(widths),
            "feature_size": feature_size,
            "pool_size": pool_size,
        }
        self.kinds = tuple(kinds)
        self.transform = Transform(size, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
        layers: list[nn.Module] = []
        for stage, (before, width) in enumerate(zip((3, *widths), widths, strict=False)):
            layers += [
                nn.Conv2d(before, width, 3, 2 if stage < HALVINGS else 1, 1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
        self.stages = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(pool_size)
        self.fc7 = nn.Sequential(nn.Flatten(), nn.Linear(widths[-1] * pool_size**2, feature_size), nn.ReLU())
        self.fresh_classifier(kinds, generator)
        for layer in (*self.stages, *self.fc7):
            if isinstance(layer, nn.Conv2d | nn.Linear):
                _initialise(layer, 2**0.5, generator)
        self.to(memory_format=torch.channels_last)

    def fresh_classifier(self, kinds: Sequence[str], generator: torch.Generator) -> None:
        """Replace the classifier and the box refinement by new ones: where fine-tuning on other kinds starts."""
        self.kinds = tuple(kinds)
        self.config["kinds"] = list(kinds)
        device = next(self.stages.parameters()).device
        self.classifier = nn.Linear(self.config["feature_size"], 1 + len(kinds)).to(device)
        self.refinement = nn.Linear(self.config["feature_size"], 4).to(device)
        _initialise(self.classifier, 0.1, generator)
        _initialise(self.refinement, 0.1, generator)

    @property
    def device(self) -> torch.device:
        return self.classifier.weight.device

    def maps(self, pictures: np.ndarray) -> Float[Tensor, "n c height width"]:
        """Maps of uint8 pictures [n, height, width, 3]."""
        x = self.transform.normalise(pictures).contiguous(memory_format=torch.channels_last)
        return self.stages(x.to(self.device))

    def regions(
        self, maps: Float[Tensor, "n c height width"], boxes: Float[Tensor, "n regions 4"]
    ) -> Float[Tensor, "n regions d"]:
        """fc7 of regions pooled from the maps by RoIAlign."""
        boxes, side = boxes.to(maps.device), self.config["pool_size"]
        if torch.is_grad_enabled():
            pooled = pool_regions(maps, boxes, side).flatten(0, 1)  # (n * regions, c, side, side)
        else:
            from torchvision.ops import roi_align  # here: it takes seconds to import

            corners = boxes * boxes.new_tensor([maps.shape[3], maps.shape[2]] * 2)
            pooled = roi_align(maps.contiguous(), list(corners), side, sampling_ratio=2, aligned=True)
        return self.fc7(pooled).unflatten(0, boxes.shape[:2])  # (n, regions, d)

    def forward(self, pictures: np.ndarray) -> Float[Tensor, "n classes"]:
        """Class scores of whole pictures, background first: what pretraining trains."""
        return self.classifier(self.fc7(self.avgpool(self.maps(pictures))))

    def as_backbone(self) -> Backbone:
        """A frozen copy as a :class:`Backbone`, for `extract_features` (method "align", pool_size as here)."""
        parts = OrderedDict(
            stages=self.stages,
            avgpool=self.avgpool,
            classifier=nn.Sequential(*list(self.fc7)[1:], self.classifier),
        )
        return Backbone(_Flattened(deepcopy(parts)).cpu(), self.transform, "region_cnn")

    def save(self, path: str | Path) -> None:
        """Write weights and configuration to a .safetensors file, by way of a temporary one."""
        tensors = {name: tensor.cpu().contiguous() for name, tensor in self.state_dict().items()}
        write_tensors(path, tensors, {"region_cnn": json.dumps(self.config)})

    @classmethod
    def load(cls, path: str | Path) -> RegionCNN:
        """Read what :meth:`save` wrote; nothing in the file is executed.

        Raises:
            FileNotFoundError: if it is not there.
            ValueError: if it holds something else, or was damaged.
        """
        from safetensors import SafetensorError, safe_open

        if not Path(path).exists():
            raise FileNotFoundError(f"no region CNN at {path}")
        try:
            with safe_open(path, "pt") as file:
                header = dict(file.metadata() or {})
                config = json.loads(header["region_cnn"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}
            if header.pop("digest", "") != content_digest(tensors, header):
                raise ValueError("it is damaged or was changed: its digest does not fit its content")
            model = cls(generator=torch.Generator().manual_seed(0), **config)
            model.load_state_dict(tensors)
        except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ValueError(f"{path} does not hold a region CNN: {str(error).splitlines()[0]}") from error
        return model.eval()


class _Flattened(nn.Sequential):
    """Stages, pool, flatten, classifier: the shape of torchvision's own classifiers."""

    def forward(self, pictures: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.stages(pictures)).flatten(1))


@torch.no_grad()
def _initialise(layer: nn.Conv2d | nn.Linear, gain: float, generator: torch.Generator) -> None:
    """Normal weights with variance gain^2 / inputs, biases zero."""
    weights = torch.randn(layer.weight.shape, generator=generator) * gain / layer.weight[0].numel() ** 0.5
    layer.weight.copy_(weights)
    if layer.bias is not None:
        layer.bias.zero_()


def check_pictures(pictures: np.ndarray) -> None:
    """Raise ValueError unless these are pictures in bytes, [n, height, width, 3]."""
    if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype != np.uint8:
        raise ValueError(f"pictures must be uint8 [n, height, width, 3], got {pictures.dtype} {pictures.shape}")


@torch.inference_mode()
def region_features(
    model: RegionCNN, pictures: np.ndarray, boxes: Float[Tensor, "n regions 4"]
) -> Float[Tensor, "n regions d"]:
    """CNN(I_b): fc7 of some regions of some pictures.

    Args:
        model: a trained region CNN.
        pictures: uint8 [n, size, size, 3].
        boxes: shares of the pictures' sides.
    """
    check_pictures(pictures)
    model.eval()
    return model.regions(model.maps(pictures), boxes).cpu()


@torch.inference_mode()
def detect(
    model: RegionCNN,
    pictures: np.ndarray,
    count: int = 19,
    nms_iou: float = 0.5,
    windows: Float[Tensor, "w 4"] | None = None,
    candidates: int = 100,
) -> list[Proposals]:
    """Things in pictures: score all windows, move the best ones onto their things, score and move again, suppress.

    A detection's score is its probability of being any thing, 1 - p(background); its label the likeliest kind.

    Args:
        model: a fine-tuned region CNN.
        pictures: uint8 [n, size, size, 3].
        count: detections to keep, a picture.
        nms_iou: a detection goes if it overlaps a better one by more than this.
        windows: where to start, the same for every picture; `WINDOWS` unless given.
        candidates: windows that go on to the second look.

    Returns:
        For each picture at most `count` detections, best first.
    """
    from torchvision.ops import batched_nms  # here: it takes seconds to import

    check_pictures(pictures)
    model.eval()
    n, device = len(pictures), model.device
    boxes = (WINDOWS.boxes() if windows is None else windows).to(device).expand(n, -1, 4)  # (n, w, 4)
    maps = model.maps(pictures)
    first = model.regions(maps, boxes)  # (n, w, d)
    things = 1 - model.classifier(first).softmax(-1)[..., BACKGROUND]  # (n, w)
    best = things.topk(min(candidates, things.shape[1])).indices[..., None]  # (n, candidates, 1)
    boxes = move_boxes(boxes, model.refinement(first)).gather(1, best.expand(-1, -1, 4))  # (n, candidates, 4)
    second = model.regions(maps, boxes)
    probabilities = model.classifier(second).softmax(-1)  # (n, candidates, classes)
    scores, kinds = 1 - probabilities[..., BACKGROUND], probabilities[..., 1:].argmax(-1)
    boxes = move_boxes(boxes, model.refinement(second))
    real = (box_area(boxes) >= MINIMUM_AREA).flatten()
    picture = torch.arange(n, device=device).repeat_interleave(boxes.shape[1])[real]
    boxes, scores, kinds = boxes.flatten(0, 1)[real], scores.flatten()[real], kinds.flatten()[real]
    kept = batched_nms(boxes, scores, picture, nms_iou)  # best first
    found = []
    for k in range(n):
        mine = kept[picture[kept] == k][:count]
        labels = tuple(model.kinds[kind] for kind in kinds[mine].tolist())
        found.append(Proposals(boxes[mine].cpu(), scores[mine].cpu(), labels))
    return found


class RegionCNNProposals:
    """A region CNN as a proposer, one picture at a time."""

    def __init__(self, model: RegionCNN, count: int = 19, nms_iou: float = 0.5) -> None:
        self.model, self.count, self.nms_iou = model, count, nms_iou

    def __call__(self, image: Image.Image, name: str = "") -> Proposals:
        """The detections of a picture, best first."""
        return detect(self.model, np.array(self.model.transform.pixels(image))[None], self.count, self.nms_iou)[0]
