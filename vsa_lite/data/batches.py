"""The one batch type that every model is fed with: padded, with masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Pairs of a picture and a sentence, row by row.

    Attributes:
        image_ids: the picture of each pair; int64.
        regions: CNN(I_b), region features, the whole picture first; float32, zeros where padded.
        region_mask: True where a region is real.
        boxes: (x0, y0, x1, y1) of each region, shares of the picture's sides; float32.
        tokens: word indices, zeros where padded; int64.
        word_mask: True where a word is real.
    """

    image_ids: Int[Tensor, " pairs"]
    regions: Float[Tensor, "pairs regions d"]
    region_mask: Bool[Tensor, "pairs regions"]
    boxes: Float[Tensor, "pairs regions 4"]
    tokens: Int[Tensor, "pairs words"]
    word_mask: Bool[Tensor, "pairs words"]

    def __len__(self) -> int:
        return len(self.image_ids)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return type(self)(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def pad_tokens(sentences: Sequence[Sequence[int]]) -> tuple[Int[Tensor, "n words"], Bool[Tensor, "n words"]]:
    """Word indices of several sentences as one rectangle, zeros behind the end, and the mask of real words."""
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    mask = torch.arange(max(1, int(lengths.max()) if len(sentences) else 1)) < lengths[:, None]
    tokens = torch.zeros(mask.shape, dtype=torch.int64)
    tokens[mask] = torch.tensor([index for sentence in sentences for index in sentence], dtype=torch.int64)
    return tokens, mask
