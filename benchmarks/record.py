"""From rows to results/benchmarks.json and to a table."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from benchmarks.harness import Row, Settings, load, spread
from vsa_lite.results import hardware, record_run


def machine(device: str) -> str:
    """Where it was measured, without the number of threads: runs of two machines stand beside each other."""
    return torch.cuda.get_device_name() if device == "cuda" else hardware().split(" threads")[0].rpartition(", ")[0]


def record(path: Path, row: Row, settings: Settings, seconds: float) -> dict:
    """Add a row to the results file, in place of an older one of the same work, precision and machine."""
    ours = spread(row.times["ours"])
    metrics = {"milliseconds": 1000 * ours[1], "milliseconds_q1": 1000 * ours[0], "milliseconds_q3": 1000 * ours[2]}
    if row.memory is not None:
        metrics["memory_mb"] = row.memory / 1e6
    baselines, on_gpu = {}, settings.device == "cuda"
    for name, candidate in row.candidates.items():
        low, middle, high = row.ratios(name)
        times = spread(row.times[name])
        baselines[name] = {
            "milliseconds": [round(1000 * t, 4) for t in times],
            "ratio": [round(r, 4) for r in (low, middle, high)],
            "ratio_of_processor_time": None if on_gpu or (cpu := row.cpu_ratio(name)) is None else round(cpu, 4),
            "ratio_is": "ours / baseline" if candidate.most is not None else "baseline / ours",
            "bar": _bar(candidate),
            "reached": row.reached(name),
            "extrapolated_by": round(candidate.factor, 4),
            "note": candidate.note,
        }
        metrics[f"ratio to {name}"] = middle
    exponents = {"exponent": row.scaling["exponent"]} if row.scaling else {}
    return record_run(
        path,
        what=f"{row.name} on {machine(settings.device)}",
        dataset="generated",
        split=row.size,
        backbone=row.precision,
        regions="none",
        config={
            "device": settings.device,
            "precision": row.precision,
            "rounds": len(row.times["ours"]),
            "quick": settings.quick,
            "baselines": baselines,
            "scaling": row.scaling,
            "notes": row.notes,
            "load": round(load(), 2),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        seed=0,
        metrics={**metrics, **row.rates, **exponents},
        seconds=seconds,
    )


def _bar(candidate) -> str:
    if candidate.most is not None:
        return f"at most {candidate.most:g}"
    return "" if candidate.least is None else f"at least {candidate.least:g}"


def lines(row: Row) -> list[str]:
    """The row for the eye: ours, then a line for every baseline."""
    low, middle, high = (1000 * t for t in spread(row.times["ours"]))
    memory = "" if row.memory is None else f", {row.memory / 1e6:,.0f} MB"
    rates = "".join(f", {name.replace('_', ' ')} {value:,.4g}" for name, value in row.rates.items())
    said = [f"{row.name} ({row.size}, {row.precision}): {middle:,.3f} ms [{low:,.3f}, {high:,.3f}]{memory}{rates}"]
    for name, candidate in row.candidates.items():
        low, middle, high = row.ratios(name)
        verdict = {None: "", True: ", reached", False: ", MISSED"}[row.reached(name)]
        bar = f", bar {_bar(candidate)}{verdict}" if _bar(candidate) else ""
        kind = "x its time" if candidate.most is not None else "x as fast"
        slice_ = f" (a slice, times {candidate.factor:g})" if candidate.factor != 1 else ""
        cpu = row.cpu_ratio(name)
        time_ = "" if cpu is None else f" ({cpu:.3g} in processor time)"
        said.append(f"    {name}: {middle:.3g} [{low:.3g}, {high:.3g}] {kind}{time_}{bar}{slice_}")
    if row.scaling:
        s = row.scaling
        said.append(f"    grows with {s['of']} {s['sizes']}: {s['milliseconds']} ms, exponent {s['exponent']}")
        if "memory_mb" in s:
            said.append(f"    memory {s['memory_mb']} MB, exponent {s.get('memory_exponent', '-')}")
    return said + [f"    {note}" for note in row.notes]
