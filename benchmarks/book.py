"""The whole book, built from nothing (bar: 8 minutes). Only with `--only book`, since it makes an environment first."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Row, Settings

BAR = 480  # seconds


def measure(settings: Settings) -> Iterator[Row]:
    if settings.compiled:
        return
    started = time.perf_counter()
    subprocess.run([sys.executable, "tasks.py", "book", "--fresh"], cwd=Path(__file__).parent.parent, check=True)
    seconds = time.perf_counter() - started
    row = Row("the book", "all chapters, from nothing", "none", {"ours": [seconds]}, {})
    row.rates = {"reached_8_minutes": float(seconds <= BAR)}
    yield row
