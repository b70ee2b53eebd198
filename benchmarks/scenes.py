"""Scenes a second: laid out, described and drawn, on one core (bar: at least 200; no baseline).

The ratio is that to a clock: the time that as many scenes may take at 200 a second, over the time that they took.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmarks.harness import Row, Settings, compare, grow, memory_of
from vsa_lite.data.scenes import make_scenes

BAR = 200  # a second


def measure(settings: Settings) -> Iterator[Row]:
    if settings.compiled:
        return
    count = 10 if settings.quick else 200
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def make(n: int):
        def run() -> None:
            for record in make_scenes(train=n, val=0, test=0):
                record.image()

        return run

    try:
        row = Row("scenes", f"{count} scenes, one core", "none", compare(settings, make(count), {}), {})
        row.memory = memory_of(make(count), "cpu")
        row.rates = {"scenes_per_second": count / sorted(row.times["ours"])[len(row.times["ours"]) // 2]}
        row.rates["reached_200_a_second"] = float(row.rates["scenes_per_second"] >= BAR)
        sizes = (5, 10) if settings.quick else (25, 50, 100, 200)
        row.scaling = grow(settings, make, sizes, "scenes")
    finally:
        torch.set_num_threads(threads)
    yield row
