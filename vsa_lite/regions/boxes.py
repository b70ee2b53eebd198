"""Boxes: (x0, y0, x1, y1) as shares of the picture's width and height, 0 to 1 (chapter 5)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

WHOLE_PICTURE = (0.0, 0.0, 1.0, 1.0)


def box_area(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n"]:
    """Share of the picture that each box covers; 0 for a box without width or height."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def box_iou(a: Float[Tensor, "*batch n 4"], b: Float[Tensor, "*batch m 4"]) -> Float[Tensor, "*batch n m"]:
    r"""Intersection over union of every box of `a` with every box of `b`.

    .. math:: \mathrm{IoU}(a, b) = \frac{|a \cap b|}{|a \cup b|}

    Two boxes without area have IoU 0.

    Args:
        a, b: boxes, in the same unit; leading dimensions must match or broadcast.

    Returns:
        IoU, 0 to 1.
    """
    corner_0 = torch.maximum(a[..., :, None, :2], b[..., None, :, :2])
    corner_1 = torch.minimum(a[..., :, None, 2:], b[..., None, :, 2:])
    both = (corner_1 - corner_0).clamp(min=0).prod(-1)  # (..., n, m)
    either = box_area(a)[..., :, None] + box_area(b)[..., None, :] - both
    return both / either.clamp(min=torch.finfo(both.dtype).tiny)


def non_maximum_suppression(
    boxes: Float[Tensor, "n 4"], scores: Float[Tensor, " n"], iou: float = 0.5
) -> Int[Tensor, " kept"]:
    """Indices of the boxes to keep, best first: a box goes if it overlaps a better one by more than `iou`.

    Raises:
        ValueError: if `iou` is not in 0 to 1.
    """
    from torchvision.ops import nms

    if not 0 <= iou <= 1:
        raise ValueError(f"iou must be in 0 to 1, got {iou}")
    return nms(boxes, scores, iou)


def check_boxes(boxes: Float[Tensor, "n 4"]) -> None:
    """Raise ValueError, naming the first bad one, unless every box is finite, in 0..1, and has its corners in order."""
    good = torch.isfinite(boxes).all(1) & (boxes >= -1e-4).all(1) & (boxes <= 1 + 1e-4).all(1)
    good &= (boxes[:, 2:] >= boxes[:, :2]).all(1)
    if not good.all():
        bad = int((~good).nonzero()[0])
        raise ValueError(
            f"box {bad} is {[round(x, 4) for x in boxes[bad].tolist()]}; boxes are (x0, y0, x1, y1) as shares of the "
            "picture's sides, 0 to 1: divide pixels by the picture's width and height"
        )
