"""Timing side by side: what is measured and its baselines take turns within one run, so that both meet the same load.

A ratio is the median over rounds of two times of the same round. A baseline too slow to be run whole runs on a slice,
and its time is multiplied up; the row says by how much. Nothing is timed before both have given the same result.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import torch

Work = Callable[[], object]
SHORTEST = 0.1


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        device: "cpu" or "cuda".
        quick: smallest sizes and two rounds, to see whether it runs.
        rounds: how often everything is measured in turns.
        seconds: no further round begins once a comparison took this long; there are at least three.
        neuraltalk: folder of a checkout of karpathy/neuraltalk, to run beside.
        gensim: import gensim's word2vec, to run beside.
        compiled: also measure `torch.compile`.
    """

    device: str = "cpu"
    quick: bool = False
    rounds: int = 7
    seconds: float = 15.0
    neuraltalk: Path | None = None
    gensim: bool = False
    compiled: bool = False

    @property
    def shortest(self) -> float:
        """Work that takes fewer seconds is repeated within one measurement."""
        return 0.0 if self.quick else SHORTEST

    @property
    def generator(self) -> torch.Generator:
        """A fresh one, always with the same seed, on the CPU: the same numbers on every device."""
        return torch.Generator().manual_seed(0)

    def precisions(self) -> tuple[torch.dtype, ...]:
        """What to measure in: mixed precision only where a GPU makes it worth it."""
        return (torch.float32, torch.bfloat16) if self.device == "cuda" else (torch.float32,)


@dataclass(frozen=True)
class Candidate:
    """Something to be timed.

    Attributes:
        run: does it once.
        factor: it was only this part of the work: times are multiplied by it.
        least: bar, the least ratio of its time to ours; None without one.
        most: bar, the greatest ratio of our time to its.
        note: what it does, or how it differs.
    """

    run: Work
    factor: float = 1.0
    least: float | None = None
    most: float | None = None
    note: str = ""


class Times(dict):
    """Seconds of each candidate in each round; `cpu`, the same in this process's own processor time."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__((name, []) for name in names)
        self.cpu: dict[str, list[float]] = {name: [] for name in names}


@dataclass
class Row:
    """A line of the table.

    Attributes:
        name: what was done.
        size: how much of it, in words.
        precision: "float32", "bfloat16" (autocast, or tensors of that type), or "none".
        times: seconds of each candidate in each round, "ours" first.
        candidates: by name, without ours.
        factors: of each candidate.
        memory: greatest number of bytes beyond what stood there before.
        rates: further numbers, such as words a second.
        scaling: what :func:`grow` gives.
        notes: what else must be known.
    """

    name: str
    size: str
    precision: str
    times: dict[str, list[float]]
    candidates: dict[str, Candidate]
    memory: int | None = None
    rates: dict[str, float] = field(default_factory=dict)
    scaling: dict = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def ratios(self, name: str) -> tuple[float, float, float]:
        """Lower quartile, median and upper quartile of the paired ratio of a baseline: at its bar's side up."""
        pairs = zip(self.times[name], self.times["ours"], strict=True)
        candidate = self.candidates[name]
        return spread([ours / theirs if candidate.most is not None else theirs / ours for theirs, ours in pairs])

    def cpu_ratio(self, name: str) -> float | None:
        """The median ratio of processor time, which other jobs on the machine disturb least; None where none is."""
        cpu = getattr(self.times, "cpu", {"ours": [0.0]})
        if not min(cpu["ours"] + cpu.get(name, [])) > 0.001:
            return None
        pairs = zip(cpu[name], cpu["ours"], strict=True)
        most = self.candidates[name].most is not None
        return spread([ours / theirs if most else theirs / ours for theirs, ours in pairs])[1]

    def reached(self, name: str) -> bool | None:
        """Whether the median ratio meets the bar; None without a bar."""
        candidate, ratio = self.candidates[name], self.ratios(name)[1]
        if candidate.most is not None:
            return ratio <= candidate.most
        return None if candidate.least is None else ratio >= candidate.least


def spread(numbers: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(numbers) == 1:
        return (numbers[0],) * 3
    low, middle, high = quantiles(numbers, n=4, method="inclusive")
    return low, middle, high


def synchronise(device: str) -> None:
    """Wait until a GPU has done what it was asked."""
    if device == "cuda":
        torch.cuda.synchronize()


def once(run: Work, device: str, times: int = 1) -> float:
    """Seconds of running it, as often as said, for each time."""
    synchronise(device)
    started = time.perf_counter()
    for _ in range(times):
        run()
    synchronise(device)
    return (time.perf_counter() - started) / times


def compare(settings: Settings, ours: Work, others: dict[str, Candidate]) -> Times:
    """Time all in turns: warm each up, then round after round, each round beginning with another one."""
    every = {"ours": Candidate(ours), **others}
    often = {}
    for name, candidate in every.items():
        first = once(candidate.run, settings.device)
        if first < 1:  # what is slow has no need to be warm
            first = once(candidate.run, settings.device)
        often[name] = max(1, min(1000, math.ceil(settings.shortest / max(first, 1e-7))))
    names, times = list(every), Times(list(every))
    rounds = 2 if settings.quick else settings.rounds
    started = time.perf_counter()
    for k in range(rounds):
        if k >= min(3, rounds) and time.perf_counter() - started > settings.seconds:
            break
        for name in names[k % len(names) :] + names[: k % len(names)]:
            before, factor = time.process_time(), every[name].factor
            times[name].append(factor * once(every[name].run, settings.device, often[name]))
            times.cpu[name].append(factor * (time.process_time() - before) / often[name])
    return times


def _status(key: str) -> int:
    """A number of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return 1024 * int(line.split()[1])
    raise KeyError(key)


def memory_of(run: Work, device: str) -> int | None:
    """The greatest number of bytes in use while it runs, less those in use before; None where that cannot be told.

    It should have run once before, so that what is only made at first is there.
    """
    if device == "cuda":
        synchronise(device)
        torch.cuda.empty_cache()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run()
        synchronise(device)
        return torch.cuda.max_memory_allocated() - before
    try:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)  # give back what is free, so that it counts when it is used again
        Path("/proc/self/clear_refs").write_text("5")  # forget the highest so far
        before = _status("VmRSS")
        run()
        return max(0, _status("VmHWM") - before)
    except (OSError, KeyError):
        return None


def grow(settings: Settings, make: Callable[[int], Work], sizes: Sequence[int], unit: str) -> dict:
    """How cost grows: median seconds and memory at some sizes, and the exponent of the line through them.

    Args:
        settings: how to measure; if quick, only the two smallest sizes.
        make: gives what to time, ready made, for a size.
        sizes: from small to large.
        unit: of what.
    """
    sizes = sizes[:2] if settings.quick else sizes
    seconds, memory = [], []
    for size in sizes:
        run = make(size)
        once(run, settings.device)
        often = max(1, min(200, math.ceil(settings.shortest / max(once(run, settings.device), 1e-7))))
        memory.append(memory_of(run, settings.device))
        rounds = 2 if settings.quick else 5
        times, started = [], time.perf_counter()
        while len(times) < rounds and (len(times) < 2 or time.perf_counter() - started < settings.seconds / 4):
            times.append(once(run, settings.device, often))
        seconds.append(spread(times)[1])
        del run
    result = {"of": unit, "sizes": list(sizes), "milliseconds": [round(1000 * s, 4) for s in seconds]}
    result["exponent"] = round(exponent(sizes, seconds), 3)
    if all(m is not None for m in memory):
        result["memory_mb"] = [round(m / 1e6, 2) for m in memory]
        if all(memory):
            result["memory_exponent"] = round(exponent(sizes, memory), 3)
    return result


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """k of cost = c size^k, by least squares in logarithms."""
    x = torch.tensor(sizes, dtype=torch.float64).log()
    y = torch.tensor(costs, dtype=torch.float64).log()
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / (x * x).sum())


def agree(ours: object, theirs: object, tolerance: float = 1e-3) -> None:
    """Both gave the same: equal to this share of the largest number.

    Raises:
        AssertionError: if not.
    """
    a, b = (torch.as_tensor(x).detach().double().cpu() for x in (ours, theirs))
    assert a.shape == b.shape, f"shapes {tuple(a.shape)} and {tuple(b.shape)} differ"
    scale = float(b.abs().max())
    worst = float((a - b).abs().max()) if a.numel() else 0.0
    assert worst <= tolerance * max(scale, 1e-12), f"results differ by {worst:.3g}, the largest is {scale:.3g}"


def load() -> float:
    """Jobs that the machine works on, mean of the last minute; -1 where nobody counts."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return -1.0
