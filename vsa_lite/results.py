"""Measured runs as JSON: every figure in README and pages is made from these files."""

from __future__ import annotations

import json
import math
import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path

KEYS = ("what", "dataset", "split", "backbone", "regions", "config", "seed")
FIELDS = (*KEYS, "metrics", "hardware", "seconds", "commit", "command")


def hardware() -> str:
    """The machine in words: processor, cores, threads in use, GPU."""
    import torch

    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads{gpu}"


def commit() -> str:
    """The commit of the code that runs, with "-dirty" where code differs from it; "" outside a repository.

    A change in `results/` is no change of code: a run must not spoil the mark of the next.
    """

    def git(*arguments: str) -> str:
        folder = Path(__file__).resolve().parent.parent
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        number = git("rev-parse", "--short=10", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!results")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{number}-dirty" if changed else number


def command_line() -> str:
    """The command that runs now, as one would type it in the repository.

    Of absolute paths only the last part is kept: a results file is published, and where somebody's files lie is not.
    """
    spec, script = getattr(sys.modules["__main__"], "__spec__", None), Path(sys.argv[0])
    repository = Path(__file__).resolve().parent.parent
    if script.stem == "vsa-lite":
        program = ["vsa-lite"]
    elif spec is not None:
        program = ["python", "-m", spec.name.removesuffix(".__main__")]
    elif script.resolve().is_relative_to(repository) and script.is_file():
        program = ["python", script.resolve().relative_to(repository).as_posix()]
    else:
        program = ["python", script.name]
    return shlex.join([*program, *map(_without_folder, sys.argv[1:])])


def _without_folder(argument: str) -> str:
    """An argument without the folders of the absolute paths in it; "=", ":" and "," may join several."""
    parts = re.split(r"([=,]|(?<=\w\w):)", argument)  # the colon of a Windows drive has one letter before it
    return "".join(Path(part).name if Path(part).is_absolute() else part for part in parts)


def load_runs(path: str | Path) -> list[dict]:
    """The runs of a results file; none if it is not there.

    Raises:
        ValueError: if it is no list of runs.
    """
    path = Path(path)
    if not path.exists():
        return []
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(runs, list) or not all(isinstance(run, dict) and set(FIELDS) <= set(run) for run in runs):
        raise ValueError(f"{path} must be a list of runs, each with {', '.join(FIELDS)}")
    return runs


def record_run(
    path: str | Path,
    *,
    what: str,
    dataset: str,
    split: str,
    backbone: str,
    regions: str,
    config: dict,
    seed: int | None,
    metrics: dict[str, float],
    seconds: float,
) -> dict:
    """Add a run to a results file, in place of an earlier one of the same thing; returns it.

    The same thing: equal in `what`, data set, split, backbone, regions and seed.

    Args:
        path: file in `results/`.
        what: the experiment's name for this run.
        dataset, split: what it was measured on.
        backbone: the CNN.
        regions: where regions come from.
        config: everything else that one would need to do it again.
        seed: of the run.
        metrics: rates, BLEU, CIDEr and ROUGE in percent.
        seconds: wall time.

    Raises:
        ValueError: for a metric that is not finite, or a file that is no list of runs.
        TypeError: for a configuration that JSON cannot hold.
    """
    bad = [key for key, value in metrics.items() if not math.isfinite(value)]
    if bad:
        raise ValueError(f"metric {bad[0]} of {what} is {metrics[bad[0]]}; only finite numbers can be recorded")
    run = {
        "what": what,
        "dataset": dataset,
        "split": split,
        "backbone": backbone,
        "regions": regions,
        "config": config,
        "seed": seed,
        "metrics": {key: round(float(value), 4) for key, value in metrics.items()},
        "hardware": hardware(),
        "seconds": round(seconds, 1),
        "commit": commit(),
        "command": command_line(),
    }
    run = json.loads(json.dumps(run, allow_nan=False))
    same = ("what", "dataset", "split", "backbone", "regions", "seed")
    runs = [old for old in load_runs(path) if any(old[key] != run[key] for key in same)] + [run]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(runs, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(temporary, path)
    return run
