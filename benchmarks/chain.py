"""Decoding the chain: the best path of 25,000 sentences through 20 regions, in O(N M) a sentence.

Baselines: the same recursion in O(N M^2), which looks at every pair of regions, over all sentences at once (bar: at
least 10 times as fast); the same for one sentence after the other, on a slice.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.data import lengths, mask_of
from benchmarks.harness import Candidate, Row, Settings, agree, compare, grow, memory_of
from vsa_lite.alignment.chain import best_path

R, BETA = 20, 0.5


def problem(sentences: int, settings: Settings) -> tuple[Tensor, Tensor, Tensor]:
    """Products, and the masks."""
    generator = settings.generator
    mask = mask_of(lengths(sentences, generator))
    u = torch.randn(*mask.shape, R, generator=generator)
    region_mask = torch.ones(sentences, R, dtype=torch.bool)
    return tuple(part.to(settings.device) for part in (u, mask, region_mask))


def every_pair(u: Tensor, mask: Tensor, region_mask: Tensor) -> tuple[Tensor, Tensor]:
    """The path and its value, with the reward of every pair of regions written out."""
    u = u.masked_fill(~region_mask[:, None], -torch.inf)
    reward = BETA * torch.eye(u.shape[2], device=u.device)
    own = torch.arange(u.shape[2], device=u.device).expand(len(u), -1)
    value, came_from = u[:, 0], []
    for j in range(1, u.shape[1]):
        best, where = (value[:, :, None] + reward).max(1)  # (sentences, from, to) -> (sentences, to)
        real = mask[:, j : j + 1]
        came_from.append(torch.where(real, where, own))
        value = torch.where(real, best + u[:, j], value)
    total, last = value.max(1)
    path = [last]
    for origin in reversed(came_from):
        path.append(origin.gather(1, path[-1][:, None])[:, 0])
    return torch.stack(path[::-1], 1) * mask, total


def one_by_one(u: Tensor, mask: Tensor, region_mask: Tensor) -> Tensor:
    """Values, sentence after sentence."""
    values = [
        every_pair(u[k : k + 1, :n], mask[k : k + 1, :n], region_mask[k : k + 1])[1]
        for k, n in enumerate(mask.sum(1).tolist())
    ]
    return torch.cat(values)


def measure(settings: Settings) -> Iterator[Row]:
    if settings.compiled:
        return
    sentences, some = (50, 10) if settings.quick else (25000, 250)
    u, mask, region_mask = problem(sentences, settings)
    path, value = best_path(u, mask, region_mask, BETA)
    expected, total = every_pair(u, mask, region_mask)
    agree(value, total, 1e-5)
    assert (path == expected).double().mean() > 0.9999, "paths differ"  # but for ties by rounding
    few = (u[:some], mask[:some], region_mask[:some])
    agree(value[:some], one_by_one(*few), 1e-5)

    def ours():
        return best_path(u, mask, region_mask, BETA)

    others = {
        "every pair of regions": Candidate(
            lambda: every_pair(u, mask, region_mask), least=10, note="O(N M^2), batched"
        ),
        "sentence by sentence": Candidate(lambda: one_by_one(*few), sentences / some, note="O(N M^2)"),
    }
    row = Row("chain decoding", f"{sentences:,} sentences, R {R}", "float32", compare(settings, ours, others), others)
    row.memory = memory_of(ours, settings.device)
    row.rates = {"sentences_per_second": sentences / min(row.times["ours"])}

    def make(n: int):
        u, mask, region_mask = problem(n, settings)
        return lambda: best_path(u, mask, region_mask, BETA)

    sizes = (25, 50) if settings.quick else (3125, 6250, 12500, 25000)
    row.scaling = grow(settings, make, sizes, "sentences")
    yield row
