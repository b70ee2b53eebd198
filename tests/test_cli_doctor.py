"""`vsa-lite doctor`: nothing wrong here, and each thing that can be wrong is named with its mend."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import time
import urllib.error
from types import SimpleNamespace

import pytest
import torch

from vsa_lite import cli_doctor
from vsa_lite.cli import main
from vsa_lite.data.downloads import SOURCES


def no_network(*_, **__):
    raise urllib.error.URLError("Name or service not known")


@pytest.fixture
def clean(tmp_path, monkeypatch):
    monkeypatch.setenv("VSA_LITE_CACHE", str(tmp_path))
    for name in ("VSA_LITE_DATA", "VSA_LITE_FEATURES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=50e9))
    monkeypatch.setattr(cli_doctor.urllib.request, "urlopen", no_network)
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "nvidia-smi" else which(name))


def test_a_good_environment(clean, capsys, tmp_path):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for name in ("vsa-lite", "Python", "torch", "torchvision", "numpy", "hardware", "cache", "extras", "network"):
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


def doctor_without(tmp_path, *missing, broken=()):
    """What `doctor` prints in a fresh process where packages are missing, or fail while they are imported."""
    for name in broken:
        (tmp_path / f"{name}.py").write_text(f'raise OSError("libcudnn.so.9 of {name}: no such file")')
    code = f"""
import sys
from importlib import metadata
true, missing = metadata.version, {missing!r}
def version(name):
    if {{"pillow": "PIL"}}.get(name, name) in missing:
        raise metadata.PackageNotFoundError(name)
    return true(name)
metadata.version = version
sys.modules |= dict.fromkeys(missing)
from vsa_lite.cli import main
sys.exit(main(["doctor"]))"""
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    environment = os.environ | {"PYTHONPATH": path, "VSA_LITE_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "vsa-lite: error" not in done.stderr
    for name in ("vsa-lite", "Python", "safetensors", "extras", "VSA_LITE_DATA", "network"):  # what there is, is told
        assert f"\n{name} " in f"\n{done.stdout}", name
    return done.stdout, [line.removeprefix("wrong: ") for line in done.stdout.splitlines() if "wrong: " in line]


def test_without_small_packages_the_rest_is_told(tmp_path):
    printed, wrong = doctor_without(tmp_path, "pooch", "tqdm", "packaging")
    said = sorted(line.split(":")[0] for line in wrong if "is not installed" in line)
    assert said == ["packaging is not installed", "pooch is not installed", "tqdm is not installed"]
    assert "pip install 'pooch>=1.8'" in printed
    assert "\nhardware " in printed


def test_what_torchvision_needs_is_not_its_fault(tmp_path):
    _, wrong = doctor_without(tmp_path, "numpy", "PIL")
    assert any(line.startswith("numpy is not installed: pip install 'numpy>=") for line in wrong)
    assert any(line.startswith("pillow is not installed: pip install 'pillow>=") for line in wrong)
    assert not any("torchvision" in line for line in wrong)


@pytest.mark.parametrize(
    ("name", "message"), [("torch", "torch cannot be used"), ("torchvision", "torchvision does not fit torch")]
)
def test_a_package_that_fails_is_one_line(tmp_path, name, message):
    _, wrong = doctor_without(tmp_path, broken=[name])
    said = [line for line in wrong if "libcudnn.so.9" in line]
    assert len(said) == 1
    assert said[0].startswith(f"{message} (libcudnn.so.9 of {name}: no such file): pip install --")


@pytest.mark.parametrize("inside", ["flickr8k", "coco"])
def test_a_folder_of_either_data_set_is_right(clean, monkeypatch, capsys, tmp_path, inside):
    (tmp_path / inside).mkdir()
    monkeypatch.setenv("VSA_LITE_DATA", str(tmp_path))
    assert main(["doctor"]) == 0


def test_the_network_is_a_fact_and_no_fault(clean, monkeypatch, capsys):
    assert any(source.url.startswith(cli_doctor.SITE) for source in SOURCES.values())
    monkeypatch.setattr(cli_doctor, "PATIENCE", 0.2)

    def refused(*_, **__):
        raise urllib.error.HTTPError(cli_doctor.SITE, 403, "Forbidden", None, None)

    def slow(*_, **__):
        time.sleep(0.6)
        no_network()

    for answer, told in (
        (no_network, "no: https://cs.stanford.edu cannot be reached (Name or service not known)"),
        (refused, "yes: https://cs.stanford.edu answers"),
        (slow, "no answer from https://cs.stanford.edu in"),
    ):
        monkeypatch.setattr(cli_doctor.urllib.request, "urlopen", answer)
        assert main(["doctor"]) == 0
        assert told in capsys.readouterr().out
