"""`import vsa_lite`, and the modules of both models with it, in a fresh interpreter.

Baseline: `import torch` in a fresh interpreter (bar: at most 1.2 times its time).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.harness import Candidate, Row, Settings, compare

MODELS = "vsa_lite.alignment.model, vsa_lite.captioning.decoding, vsa_lite.evaluation.ranking"


def run(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent)


def measure(settings: Settings) -> Iterator[Row]:
    if settings.compiled:
        return
    kinds = {"import vsa_lite": "vsa_lite", "import of the models": MODELS}
    for name, modules in list(kinds.items())[: 1 if settings.quick else None]:
        others = {"import torch": Candidate(partial(run, "import torch"), most=1.2)}
        times = compare(settings, partial(run, f"import {modules}"), others)
        yield Row(name, "a fresh interpreter", "none", dict(times), others)  # processor time is another process's
