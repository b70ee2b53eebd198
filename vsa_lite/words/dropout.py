"""Dropout whose random numbers are quick on a CPU."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Dropout(nn.Module):
    """Drop each number with probability `share` while training, and scale the others by 1 / (1 - share).

    As `nn.Dropout`, whose random numbers take seven times as long on a CPU.

    Args:
        share: of the numbers that are dropped, at least 0 and below 1.

    Raises:
        ValueError: for a share out of range.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        if not 0 <= share < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {share}")
        self.share = share

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        if not self.training or not self.share:
            return x
        keep = 1 - self.share
        return x * ((torch.rand_like(x) < keep) / keep)

    def extra_repr(self) -> str:
        return f"{self.share}"
