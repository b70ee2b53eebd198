"""Measured runs as JSON: added, replaced, refused; nothing of the machine but its hardware goes into them."""

import json
import re
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest

from vsa_lite import results
from vsa_lite.results import FIELDS, command_line, commit, hardware, load_runs, record_run

RUN = {
    "what": "best",
    "dataset": "flickr8k",
    "split": "test",
    "backbone": "vgg16",
    "regions": "top 19",
    "config": {"margin": 1, "sizes": (1, 2)},
    "seed": 0,
    "metrics": {"sentence_r@1": 16.51239, "sentence_median_rank": np.float64(7)},
    "seconds": 61.234,
}


def test_a_run_has_every_field(tmp_path):
    path = tmp_path / "results" / "a.json"
    run = record_run(path, **RUN)
    assert list(run) == list(FIELDS)
    assert load_runs(path) == [run]
    assert json.loads(path.read_text()) == [run]
    assert run["metrics"] == {"sentence_r@1": 16.5124, "sentence_median_rank": 7.0}
    assert run["config"] == {"margin": 1, "sizes": [1, 2]}
    assert run["seconds"] == 61.2
    assert "cores" in run["hardware"]
    assert "threads" in run["hardware"]
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]


def test_the_same_run_is_replaced_and_others_are_added(tmp_path):
    path = tmp_path / "a.json"
    record_run(path, **RUN)
    others = [
        {"what": "hardest"},
        {"dataset": "scenes"},
        {"split": "val"},
        {"backbone": "resnet50"},
        {"regions": "whole picture only"},
        {"seed": 1},
        {"seed": None},
    ]
    for number, change in enumerate(others):
        record_run(path, **RUN | change)
        assert len(load_runs(path)) == 2 + number
    before = load_runs(path)
    again = record_run(path, **RUN | {"metrics": {"sentence_r@1": 20.0}, "config": {"margin": 2}, "seconds": 3})
    after = load_runs(path)
    assert len(after) == len(before)
    assert after[-1] == again
    assert after[:-1] == before[1:]
    assert again["metrics"] == {"sentence_r@1": 20.0}


def test_no_file_holds_no_run(tmp_path):
    assert load_runs(tmp_path / "nothing.json") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON"),
        ("[{", "is no JSON"),
        ("\udcff", "is no JSON"),
        ('{"what": "a"}', "must be a list of runs, each with what, dataset, split"),
        ("[1]", "must be a list of runs"),
        ('[{"what": "a", "dataset": "b"}]', "must be a list of runs"),
    ],
)
def test_a_bad_file_is_named_and_left_as_it_is(tmp_path, text, message):
    path = tmp_path / "a.json"
    content = text.encode("utf-8", "surrogateescape")
    path.write_bytes(content)
    for refused in (lambda: load_runs(path), lambda: record_run(path, **RUN)):
        with pytest.raises(ValueError, match=rf"a\.json {message}"):
            refused()
    assert path.read_bytes() == content


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_no_number_is_refused(tmp_path, value):
    with pytest.raises(ValueError, match=f"metric cider of best is {value}"):
        record_run(tmp_path / "a.json", **RUN | {"metrics": {"bleu_1": 1.0, "cider": value}})
    assert not (tmp_path / "a.json").exists()


def test_a_configuration_that_json_cannot_hold_is_refused(tmp_path):
    with pytest.raises(TypeError, match="JSON"):
        record_run(tmp_path / "a.json", **RUN | {"config": {"path": Path("a")}})
    assert not (tmp_path / "a.json").exists()


def run_as(monkeypatch, arguments, module=None):
    monkeypatch.setattr(sys, "argv", arguments)
    spec = ModuleSpec(module, None) if module else None
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec, raising=False)
    return command_line()


def test_the_command_is_what_one_would_type(monkeypatch, tmp_path):
    root = Path(results.__file__).parent.parent
    assert run_as(monkeypatch, ["/usr/bin/vsa-lite", "train", "a b"], "x") == "vsa-lite train 'a b'"
    assert run_as(monkeypatch, ["vsa-lite.exe", "report"]) == "vsa-lite report"
    assert run_as(monkeypatch, ["/x/cli.py", "align"], "vsa_lite.cli") == "python -m vsa_lite.cli align"
    assert run_as(monkeypatch, ["/x/__main__.py"], "vsa_lite.__main__") == "python -m vsa_lite"
    monkeypatch.chdir(tmp_path)
    assert run_as(monkeypatch, [str(root / "tests" / "test_results.py"), "-q"]) == "python tests/test_results.py -q"
    assert run_as(monkeypatch, [str(tmp_path / "mine.py")]) == "python mine.py"
    assert run_as(monkeypatch, [""]) == "python ''"


def test_no_folder_of_the_machine_is_written(monkeypatch, tmp_path):
    arguments = ["vsa-lite", "train", str(tmp_path / "features"), f"--out={tmp_path / 'model'}", "data/x", "--lr=1e-3"]
    line = run_as(monkeypatch, arguments)
    assert line == "vsa-lite train features --out=model data/x --lr=1e-3"


def test_the_commit_is_the_repositorys(monkeypatch, tmp_path):
    root = Path(results.__file__).parent
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not in a git repository")
    match = re.fullmatch(r"([0-9a-f]{10,})(-dirty)?", commit())
    assert match
    assert head.startswith(match[1])
    monkeypatch.setattr(results, "__file__", str(tmp_path / "results.py"))
    assert commit() == ""


def test_without_git_there_is_no_commit(monkeypatch):
    def missing(*args, **kwargs):
        raise FileNotFoundError("git")

    monkeypatch.setattr(results.subprocess, "run", missing)
    assert commit() == ""


def test_hardware_without_proc(monkeypatch):
    def missing(*args, **kwargs):
        raise FileNotFoundError("/proc/cpuinfo")

    monkeypatch.setattr(Path, "read_text", missing)
    assert re.fullmatch(r".+, \d+ cores, \d+ threads.*", hardware())


def test_no_absolute_path_is_written_down_however_it_is_joined():
    from vsa_lite.results import _without_folder

    for given, kept in (
        ("karpathy:/a/b.json,/c/d", "karpathy:b.json,d"),
        ("coco:/a/i.json,/b/c.json,/d,val", "coco:i.json,c.json,d,val"),
        ("--work=/a/b", "--work=b"),
        ("/q/w.py:load", "w.py:load"),
        ("scenes:1,2,3", "scenes:1,2,3"),
        ("results/x.json", "results/x.json"),
    ):
        assert _without_folder(given) == kept
