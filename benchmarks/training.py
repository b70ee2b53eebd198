"""One step of training as the package's own loop does it, and the same for a baseline's module."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def stepper(
    module: nn.Module, loss: Callable[[], Tensor], optimiser: torch.optim.Optimizer, device: str, precision: torch.dtype
) -> Callable[[], Tensor]:
    """Forward, backward, clip, step; under autocast in bfloat16."""

    def step() -> Tensor:
        with torch.autocast(device, torch.bfloat16, enabled=precision == torch.bfloat16):
            value = loss()
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_value_(module.parameters(), 5.0)
        optimiser.step()
        return value.detach()

    return step


def name(precision: torch.dtype) -> str:
    """As `float32` or `bfloat16`."""
    return str(precision).removeprefix("torch.")
