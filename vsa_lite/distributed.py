"""Several processes that train one model: what each has, put together, with gradients (chapter 16).

Every function here is the identity in a single process. Processes are started by Lightning Fabric or `torchrun`; each
works on its share of a batch, and gradients are averaged over processes.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from jaxtyping import Int, Shaped
from torch import Tensor


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.rows = len(x)
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        first = dist.get_rank() * ctx.rows
        return gradient[first : first + ctx.rows]


def gather_rows(x: Shaped[Tensor, "rows ..."]) -> Shaped[Tensor, "all_rows ..."]:
    r"""The rows of all processes, in their order, on each of them; every process must have as many.

    The gradient of a row is the sum of what all processes ask of it. Where each of P processes computes the same loss
    from gathered rows, that is P times the loss's gradient, and the average over processes that follows makes it right.
    """
    return x if processes() == 1 else _Gather.apply(x)


def pad_to_longest(x: Shaped[Tensor, "rows items ..."]) -> Shaped[Tensor, "rows longest ..."]:
    """Zeros behind the second axis, up to the longest that any process has."""
    if processes() == 1:
        return x
    longest = torch.tensor(x.shape[1], device=x.device)
    dist.all_reduce(longest, dist.ReduceOp.MAX)
    padded = x.new_zeros(x.shape[0], int(longest), *x.shape[2:])
    padded[:, : x.shape[1]] = x
    return padded


def share_of_all(count: Int[Tensor, ""]) -> Tensor | float:
    """What a mean over `count` items here counts in the mean over the items of all processes, times their number."""
    if processes() == 1:
        return 1.0
    total = count.clone()
    dist.all_reduce(total)
    return processes() * count / total.clamp(min=1)
