"""`vsa-lite doctor`: what a report of a fault needs, and what is wrong with this environment."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from vsa_lite import __version__

EXTRAS = {  # a module of each, and what it is needed for
    "metrics": ("pycocoevalcap", "CIDEr, ROUGE-L and METEOR"),
    "selective-search": ("cv2", "regions by selective search"),
    "scale": ("faiss", "an index of pictures, and several devices"),
    "lab": ("jupyterlab", "the chapters in JupyterLab"),
}
ROOM = 2.0  # GB that chapters may need in the cache folder


def doctor(arguments: argparse.Namespace) -> int:
    """`doctor`: prints, and returns 1 if something is wrong."""
    wrong: list[str] = []
    for about, value in facts(wrong).items():
        print(f"{about:12} {value}")
    print()
    for line in wrong:
        print(f"wrong: {line}")
    if not wrong:
        print("nothing is wrong")
    return int(bool(wrong))


def where() -> str:
    """The kind of place that this runs in."""
    if find_spec("google") and find_spec("google.colab"):
        return "Colab"
    for variable, name in (("KAGGLE_KERNEL_RUN_TYPE", "Kaggle"), ("BINDER_SERVICE_HOST", "Binder")):
        if variable in os.environ:
            return name
    return "an own computer"


def facts(wrong: list[str]) -> dict[str, str]:
    """What there is, by its name; what is wrong with it is added to `wrong`, each with what to do."""
    found = {"vsa-lite": __version__, "Python": f"{platform.python_version()}, {sys.executable}"}
    found |= {"system": platform.platform(), "place": where()}
    _add_versions(found, wrong)
    if not any("torch" in line for line in wrong):  # without it, what follows says nothing
        _add_machine(found, wrong)
    missing = [f"{name} ({use})" for name, (module, use) in EXTRAS.items() if find_spec(module) is None]
    found["extras"] = "all here" if not missing else f"not here: {', '.join(missing)}; pip install 'vsa-lite[NAME]'"
    _add_folders(found, wrong)
    return found


def _add_versions(found: dict[str, str], wrong: list[str]) -> None:
    """Every dependency, its version, and whether it is new enough."""
    from packaging.requirements import Requirement

    try:
        needed = metadata.requires("vsa-lite") or []
    except metadata.PackageNotFoundError:
        wrong.append("the package is not installed: python3 tasks.py setup, or pip install in the repository")
        return
    for requirement in map(Requirement, needed):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        name = requirement.name
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} is not installed: pip install '{requirement}'")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{name} {version} is too old: pip install '{requirement}'")
        found[name] = version


def _add_machine(found: dict[str, str], wrong: list[str]) -> None:
    """Cores, threads, GPU, and whether torch and torchvision fit together."""
    import torch

    from vsa_lite.results import hardware

    found["hardware"] = hardware()
    cores = os.cpu_count() or 1
    if torch.get_num_threads() > cores:
        wrong.append(f"{torch.get_num_threads()} threads on {cores} cores are slow: set OMP_NUM_THREADS={cores}")
    if torch.cuda.is_available():
        found["GPU"] = torch.cuda.get_device_name()
    else:
        found["GPU"] = "none; every chapter runs on the CPU"
        if found["place"] == "Colab":
            found["GPU"] += " (for one: Runtime, Change runtime type, T4 GPU)"
        if shutil.which("nvidia-smi"):
            wrong.append(f"a GPU is here, but torch {torch.__version__} cannot use it: https://pytorch.org/get-started")
    try:
        from torchvision.ops import nms

        nms(torch.tensor([[0.0, 0, 1, 1]]), torch.ones(1), 0.5)
    except (ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:100]
        wrong.append(f"torchvision does not fit torch ({reason}): pip install --upgrade torch torchvision")


def _add_folders(found: dict[str, str], wrong: list[str]) -> None:
    """The cache folder, and what the variables name."""
    from vsa_lite.data.downloads import cache_folder

    cache = cache_folder()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(cache).free / 1e9
        found["cache"] = f"{cache}, {free:.0f} GB free (VSA_LITE_CACHE names another)"
        if not os.access(cache, os.W_OK):
            wrong.append(f"the cache folder {cache} cannot be written to: let VSA_LITE_CACHE name another")
        elif free < ROOM:
            wrong.append(
                f"{free:.1f} GB are free at {cache}; chapters may need {ROOM:.0f}: let VSA_LITE_CACHE name another"
            )
    except OSError as error:
        wrong.append(f"no cache folder at {cache} ({error.strerror}): let VSA_LITE_CACHE name another")
    for variable, needed, what in (
        ("VSA_LITE_DATA", "flickr8k", "the folder that holds flickr8k/"),
        ("VSA_LITE_FEATURES", "store.json", "a folder that `vsa-lite extract` made"),
    ):
        value = os.environ.get(variable)
        found[variable] = value or "not set"
        if value and not (Path(value) / needed).exists():
            wrong.append(f"{variable} is {value}, where there is no {needed}: it must be {what}")
