"""Ranking at COCO-5K size: every one of 5,000 images x 20 regions against 25,000 sentences, h 1024 (eq. 8, then ranks).

Baselines: one matrix product of the same FLOPs and type, which nothing that forms all products can beat (bar: at most
1.25 times its time); a loop over sentences, each against all pictures, as SCAN's evaluation does (bar: at least 20
times as fast). Memory: under 2 GB. A CPU runs a part, some images against some sentences; cost is their product.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.data import lengths, mask_of
from benchmarks.harness import Candidate, Row, Settings, agree, compare, grow, memory_of
from vsa_lite.evaluation.ranking import rank, score_all

H, R = 1024, 20
FULL = (5000, 25000)


def problem(images: int, sentences: int, dtype: torch.dtype, settings: Settings) -> tuple[Tensor, ...]:
    """Regions and words of random numbers, with their masks, and each sentence's picture."""
    generator = settings.generator
    length = lengths(sentences, generator)
    mask = mask_of(length)
    if settings.device == "cuda":  # drawing 0.4 billion numbers on a CPU takes longer than all else
        generator = torch.Generator("cuda").manual_seed(0)
    words = torch.empty(*mask.shape, H, dtype=dtype, device=settings.device)
    regions = torch.empty(images, R, H, dtype=dtype, device=settings.device)
    for tensor in (regions, words):
        tensor.normal_(0, H**-0.5, generator=generator)
    owner = torch.arange(sentences) % images
    region_mask = torch.ones(images, R, dtype=torch.bool)
    return regions, region_mask.to(regions.device), words, mask.to(regions.device), owner.to(regions.device)


def one_product(regions: Tensor, words: Tensor, mask: Tensor) -> Tensor:
    """All real words times all regions; the result, which need not be kept, is written over tile by tile."""
    a, b = words[mask], regions.reshape(-1, H).T
    rows = max(1, min(len(a), 400_000_000 // b.shape[1]))
    place = torch.empty(rows, b.shape[1], dtype=a.dtype, device=a.device)
    for tile in a.split(rows):
        torch.mm(tile, b, out=place[: len(tile)])
    return place


def sentence_loop(regions: Tensor, words: Tensor, mask: Tensor) -> Tensor:
    """Scores, one sentence at a time: its words, spread over all images, times each one's regions."""
    scores = []
    for vectors, real in zip(words, mask, strict=True):
        s = vectors[real].expand(len(regions), -1, -1)  # (images, words, h)
        scores.append(torch.bmm(s, regions.mT).float().max(2).values.sum(1))
    return torch.stack(scores, 1)


def measure(settings: Settings) -> Iterator[Row]:
    if settings.compiled:
        return
    if settings.quick:
        images, sentences, some = 20, 40, 10
    else:
        images, sentences, some = (*FULL, 250) if settings.device == "cuda" else (500, 500, 50)
    for dtype in (torch.float32, torch.bfloat16):
        regions, region_mask, words, mask, owner = problem(images, sentences, dtype, settings)
        few = slice(0, some)
        scores = score_all(regions, region_mask, words[few], mask[few])
        agree(scores, sentence_loop(regions, words[few], mask[few]), 1e-4 if dtype == torch.float32 else 2e-2)

        def ours(regions=regions, region_mask=region_mask, words=words, mask=mask, owner=owner):
            return rank(regions, region_mask, words, mask, owner)

        others = {
            "one GEMM": Candidate(lambda r=regions, w=words, m=mask: one_product(r, w, m), most=1.25),
            "loop over sentences": Candidate(
                lambda r=regions, w=words[few], m=mask[few]: sentence_loop(r, w, m), sentences / some, least=20
            ),
        }
        times = compare(settings, ours, others)
        row = Row("ranking", f"{images:,} images, {sentences:,} sentences", _name(dtype), times, others)
        row.memory = memory_of(ours, settings.device)
        inputs = (regions.numel() + words.numel()) * regions.element_size()
        row.rates = {
            "inputs_mb": inputs / 1e6,
            "tflops": 2 * H * R * images * int(mask.sum()) / min(times["ours"]) / 1e12,
        }
        if (images, sentences) != FULL:
            share = FULL[0] * FULL[1] / (images * sentences)
            row.notes.append(f"the whole of COCO-5K would take {share:,.0f} times as long (exponent below)")
        if dtype == torch.float32:

            def make(n, dtype=dtype):
                v, region_mask, s, mask, owner = problem(n, 2 * n, dtype, settings)
                return lambda: rank(v, region_mask, s, mask, owner)

            sizes = (500, 1000, 2000, 4000) if settings.device == "cuda" else (40, 80, 160, 320)
            row.scaling = grow(settings, make, sizes, "images, with twice as many sentences (cost: their product)")
        yield row


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
