"""Every benchmark runs at its smallest size, where fast and plain ways are compared, and writes results; no times."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vsa_lite.results import load_runs

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def harness():
    sys.path.insert(0, str(ROOT))
    try:
        from benchmarks import harness
    finally:
        sys.path.remove(str(ROOT))
    return harness


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        (
            ["ranking", "alignment", "brnn"],
            ["ranking", "ranking", "alignment training step", "BRNN, forward and backward"],
        ),
        (["captioner", "beam", "chain"], ["captioner training step", "beam search, 7 beams", "chain decoding"]),
        (["word2vec", "scenes"], ["word2vec, skip-gram", "scenes"]),
    ],
)
def test_the_smallest_run_writes_results(tmp_path, names, rows):
    out = tmp_path / "benchmarks.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--threads", "1", "--out", str(out), "--only", *names]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr
    runs = load_runs(out)
    assert [run["what"].split(" on ")[0] for run in runs] == rows
    for run in runs:
        assert run["metrics"]["milliseconds"] > 0
        assert run["config"]["quick"]
        for name, baseline in run["config"]["baselines"].items():
            assert len(baseline["ratio"]) == 3
            assert run["metrics"][f"ratio to {name}"] == pytest.approx(baseline["ratio"][1], abs=1e-3)
            assert baseline["reached"] in (True, False, None)
        if run["config"]["scaling"]:
            assert len(run["config"]["scaling"]["milliseconds"]) == len(run["config"]["scaling"]["sizes"]) == 2
    assert not list(tmp_path.glob("*.part"))
    json.dumps(runs, allow_nan=False)


def test_what_differs_is_noticed(harness):
    a = torch.arange(6.0).view(2, 3)
    harness.agree(a, a + 1e-6)
    for b in (a + 0.1, a[:1], a * math.nan):
        with pytest.raises(AssertionError):
            harness.agree(a, b)


def test_exponents_ratios_and_bars(harness):
    assert harness.exponent((1, 2, 4, 8), (3, 12, 48, 192)) == pytest.approx(2)
    work = {
        "slower": harness.Candidate(int, least=3),
        "product": harness.Candidate(int, most=1.25),
        "plain": harness.Candidate(int),
    }
    times = {"ours": [1.0, 2.0, 1.0], "slower": [4.0, 8.0, 2.0], "product": [1.0, 1.0, 1.0], "plain": [1.0, 1.0, 1.0]}
    row = harness.Row("some work", "little", "none", times, work)
    assert [row.ratios(name)[1] for name in work] == [4.0, 1.0, 1.0]
    assert row.ratios("product") == (1.0, 1.0, 1.5)
    assert [row.reached(name) for name in work] == [True, True, None]


def test_candidates_take_turns_and_slices_are_multiplied_up(harness, monkeypatch):
    order = []
    monkeypatch.setattr(harness, "once", lambda run, device, times=1: run() or 2.0)
    others = {"a": harness.Candidate(lambda: order.append("a"), 5.0), "b": harness.Candidate(lambda: order.append("b"))}
    times = harness.compare(harness.Settings(rounds=3), lambda: order.append("ours"), others)
    assert times == {"ours": [2.0] * 3, "a": [10.0] * 3, "b": [2.0] * 3}
    assert order == ["ours", "a", "b", "ours", "a", "b", "a", "b", "ours", "b", "ours", "a"]
