"""`vsa-lite doctor`: nothing wrong here, and each thing that can be wrong is named with its mend."""

import importlib.metadata
import shutil
from types import SimpleNamespace

import pytest
import torch

from vsa_lite import cli_doctor
from vsa_lite.cli import main


@pytest.fixture
def clean(tmp_path, monkeypatch):
    monkeypatch.setenv("VSA_LITE_CACHE", str(tmp_path))
    for name in ("VSA_LITE_DATA", "VSA_LITE_FEATURES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=50e9))
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "nvidia-smi" else which(name))


def test_a_good_environment(clean, capsys, tmp_path):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for name in ("vsa-lite", "Python", "torch", "torchvision", "numpy", "hardware", "cache", "extras"):
        assert f"\n{name} " in f"\n{printed}", name
    assert str(tmp_path) in printed
    assert printed.endswith("nothing is wrong\n")


def old(name, version="0.1"):
    true = importlib.metadata.version
    return lambda asked: version if asked == name else true(asked)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m, _: m.setattr(cli_doctor.metadata, "version", old("numpy")), "numpy 0.1 is too old"),
        (lambda m, _: m.setenv("VSA_LITE_DATA", "/nowhere"), "VSA_LITE_DATA is /nowhere, where there is no flickr8k"),
        (lambda m, _: m.setenv("VSA_LITE_FEATURES", "/nowhere"), "a folder that `vsa-lite extract` made"),
        (lambda m, _: m.setattr(shutil, "disk_usage", lambda p: SimpleNamespace(free=1e9)), "1.0 GB are free"),
        (lambda m, _: m.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi"), "a GPU is here, but torch"),
        (lambda m, _: m.setattr(torch, "get_num_threads", lambda: 999), "999 threads on"),
        (
            lambda m, folder: m.setenv("VSA_LITE_CACHE", str(folder / "file" / "below")),
            "let VSA_LITE_CACHE name another",
        ),
    ],
)
def test_what_is_wrong_is_named(clean, monkeypatch, capsys, tmp_path, change, message):
    (tmp_path / "file").write_text("")
    change(monkeypatch, tmp_path)
    if torch.cuda.is_available() and "GPU" in message:
        pytest.skip("this GPU can be used")
    assert main(["doctor"]) == 1
    wrong = [line for line in capsys.readouterr().out.splitlines() if line.startswith("wrong: ")]
    assert any(message in line for line in wrong), wrong


def test_a_missing_package_and_one_that_does_not_fit(clean, monkeypatch, capsys):
    def missing(name):
        if name == "pooch":
            raise importlib.metadata.PackageNotFoundError(name)
        return importlib.metadata.distribution(name).version

    def broken(*_):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(cli_doctor.metadata, "version", missing)
    monkeypatch.setattr("torchvision.ops.nms", broken)
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "wrong: pooch is not installed: pip install 'pooch>=" in printed
    assert "wrong: torchvision does not fit torch" in printed


@pytest.mark.parametrize(
    ("variable", "place"),
    [("KAGGLE_KERNEL_RUN_TYPE", "Kaggle"), ("BINDER_SERVICE_HOST", "Binder"), ("X", "an own computer")],
)
def test_the_place_is_known(monkeypatch, variable, place):
    monkeypatch.setenv(variable, "1")
    assert cli_doctor.where() == place
