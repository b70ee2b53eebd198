"""`vsa-lite doctor`: what a report of a fault needs, and what is wrong with this environment."""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import sys
import threading
import urllib.error
import urllib.request
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
SITE = "https://cs.stanford.edu"  # where the sentences of Flickr8k come from
PATIENCE = 2.0  # seconds to wait for it
SETUP = "python3 tasks.py setup, or pip install in the repository"


def doctor(arguments: argparse.Namespace) -> int:
    """`doctor`: prints, and returns 1 if something is wrong.

    The worse an environment is, the more it is needed: a section that fails becomes a line of what is wrong, and the
    others are printed all the same.
    """
    wrong: list[str] = []
    for section, failed, cure in SECTIONS:
        found: dict[str, str] = {}
        try:
            section(found, wrong)
        except Exception as error:
            _add_failure(error, failed, cure, wrong)
        for about, value in found.items():
            print(f"{about:12} {value}", flush=True)
    print()
    for line in wrong:
        print(f"wrong: {line}")
    if not wrong:
        print("nothing is wrong")
    return int(bool(wrong))


def _add_failure(error: Exception, failed: str, cure: str, wrong: list[str]) -> None:
    absent = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if absent and absent not in ("torch", "torchvision", "vsa_lite"):
        failed, cure = f"{absent} is not installed", f"pip install {absent}"
    else:
        failed = f"{failed} ({_reason(error)})"
    if not any(line.startswith(f"{absent} is not installed") for line in wrong):  # said already, with its version
        wrong.append(f"{failed}: {cure}")


def _reason(error: object) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__


def where() -> str:
    """The kind of place that this runs in."""
    if find_spec("google") and find_spec("google.colab"):
        return "Colab"
    for variable, name in (("KAGGLE_KERNEL_RUN_TYPE", "Kaggle"), ("BINDER_SERVICE_HOST", "Binder")):
        if variable in os.environ:
            return name
    return "an own computer"


def _add_place(found: dict[str, str], wrong: list[str]) -> None:
    found |= {"vsa-lite": __version__, "Python": f"{platform.python_version()}, {sys.executable}"}
    found |= {"system": platform.platform(), "place": where()}


def _add_versions(found: dict[str, str], wrong: list[str]) -> None:
    """Every dependency, its version, and whether it is new enough."""
    try:
        needed = metadata.requires("vsa-lite") or []
    except metadata.PackageNotFoundError:
        wrong.append(f"the package is not installed: {SETUP}")
        return
    needed = [line for line in needed if "extra ==" not in line]
    for line in needed:
        name = re.split(r"[^\w.-]", line, maxsplit=1)[0]
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} is not installed: pip install '{line}'")
    from packaging.requirements import Requirement  # it may be missing, too

    for requirement in map(Requirement, needed):
        version = found.get(requirement.name)
        if version and not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} is too old: pip install '{requirement}'")


def _add_machine(found: dict[str, str], wrong: list[str]) -> None:
    """Cores, threads, GPU."""
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
        if where() == "Colab":
            found["GPU"] += " (for one: Runtime, Change runtime type, T4 GPU)"
        if shutil.which("nvidia-smi"):
            wrong.append(f"a GPU is here, but torch {torch.__version__} cannot use it: https://pytorch.org/get-started")


def _try_torchvision(found: dict[str, str], wrong: list[str]) -> None:
    """Whether torch and torchvision fit together; without what both stand on, that says nothing."""
    if "torch" not in sys.modules or not all(map(find_spec, ("torchvision", "numpy", "PIL"))):
        return
    import torch
    from torchvision.ops import nms

    nms(torch.tensor([[0.0, 0, 1, 1]]), torch.ones(1), 0.5)


def _add_extras(found: dict[str, str], wrong: list[str]) -> None:
    missing = [f"{name} ({use})" for name, (module, use) in EXTRAS.items() if find_spec(module) is None]
    found["extras"] = "all here" if not missing else f"not here: {', '.join(missing)}; pip install 'vsa-lite[NAME]'"


def _add_cache(found: dict[str, str], wrong: list[str]) -> None:
    """The cache folder, and the room in it."""
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


def _add_variables(found: dict[str, str], wrong: list[str]) -> None:
    """What the variables name."""
    for variable, inside, what in (
        ("VSA_LITE_DATA", ("flickr8k", "coco"), "the folder that holds flickr8k/ or coco/"),
        ("VSA_LITE_FEATURES", ("store.json",), "a folder that `vsa-lite extract` made"),
    ):
        value = os.environ.get(variable)
        found[variable] = value or "not set"
        if value and not any((Path(value) / name).exists() for name in inside):
            wrong.append(f"{variable} is {value}, where there is no {' and no '.join(inside)}: it must be {what}")


def _add_network(found: dict[str, str], wrong: list[str]) -> None:
    """Whether there is a network: no fault, as chapters on scenes need none."""
    answer: list[str] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(SITE, method="HEAD"), timeout=PATIENCE).close()
        except urllib.error.HTTPError:  # an answer, too
            pass
        except Exception as error:  # whatever it is, it is told
            reason = _reason(getattr(error, "reason", error))
            answer.append(f"no: {SITE} cannot be reached ({reason}); only downloads need it")
            return
        answer.append(f"yes: {SITE} answers")

    thread = threading.Thread(target=ask, daemon=True)  # a name may take longer to look up than any timeout
    thread.start()
    thread.join(PATIENCE)
    found["network"] = answer[0] if answer else f"no answer from {SITE} in {PATIENCE:.0f} s; only downloads need it"


REINSTALL = "pip install --force-reinstall torch torchvision"
SECTIONS = (  # each, what has failed if it fails, and what to do
    (_add_place, "the place cannot be told", SETUP),
    (_add_versions, "the versions cannot be read", SETUP),
    (_add_machine, "torch cannot be used", REINSTALL),
    (_try_torchvision, "torchvision does not fit torch", "pip install --upgrade torch torchvision"),
    (_add_extras, "the extras cannot be told", SETUP),
    (_add_cache, "no cache folder can be had", "let VSA_LITE_CACHE name one"),
    (_add_variables, "the variables cannot be read", "let VSA_LITE_DATA and VSA_LITE_FEATURES name folders"),
    (_add_network, "the network cannot be tried", SETUP),
)
