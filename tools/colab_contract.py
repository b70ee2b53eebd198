"""A fresh environment as near to Colab's as can be had: the package installs there, moves nothing, and chapters run.

    python3 tools/colab_contract.py [--chapters 01 06] [--torch] [--record]

Versions are those of tests/colab_versions.json. Those of torch and torchvision are taken with --torch only, a download
of several GB where the CPU build cannot be had; without it they are the ones of constraints.txt. A version that the
index does not have for this Python is named and left to the installer. Fails where installing the package takes more
than 30 seconds, changes anything that was there, or a chapter does not run. With --record the seconds are written to
results/classroom.json.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools.in_colab import VERSIONS, changes  # noqa: E402

LONGEST = 30.0  # seconds that the first cell may take
BIG = ("torch", "torchvision")
NEEDED = ["pip", "ipykernel", "nbconvert"]  # what Colab has besides, and what runs a notebook here


def uv(*arguments: str | Path) -> subprocess.CompletedProcess:
    """uv of the environment that runs this, its output kept."""
    return subprocess.run([sys.executable, "-m", "uv", *map(str, arguments)], capture_output=True, text=True, cwd=ROOT)


def installed(python: Path) -> dict[str, str]:
    """Name and version of every package of an environment."""
    done = subprocess.run([python, "-m", "pip", "list", "--format", "json"], capture_output=True, text=True, check=True)
    return {package["name"].lower(): package["version"] for package in json.loads(done.stdout)}


def colab_like(folder: Path, with_torch: bool) -> tuple[Path, list[str]]:
    """Make the environment; its Python, and the packages whose version of Colab could not be had."""
    wanted = json.loads(VERSIONS.read_text(encoding="utf-8"))["versions"]
    pinned = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "constraints.txt").read_text(), re.M))
    versions = {name: pinned[name] if name in BIG and not with_torch else version for name, version in wanted.items()}
    python = folder / "bin" / "python"
    if uv("venv", "--quiet", "--python", sys.executable, folder).returncode:
        sys.exit("no environment could be made")
    missing = []
    for _ in range(len(versions) + 1):
        exact = [f"{name}=={version}" for name, version in versions.items()]
        done = uv("pip", "install", "--quiet", "--python", python, *exact, *NEEDED)
        if not done.returncode:
            return python, missing
        culprit = next((name for name in versions if f"{name}==" in done.stderr), None)
        if culprit is None:
            break
        missing.append(f"{culprit} {versions.pop(culprit)}")
    sys.exit(f"Colab's packages cannot be installed:\n{done.stderr[-2000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chapters", nargs="*", default=["01", "06"], metavar="NUMBER", help="to run (default: 01 06)")
    parser.add_argument("--torch", action="store_true", help="torch and torchvision of Colab's versions too")
    parser.add_argument("--record", action="store_true", help="write the seconds to results/classroom.json")
    arguments = parser.parse_args()
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if (done := uv("build", "--wheel", "--quiet", "--out-dir", folder)).returncode:
            sys.exit(f"no wheel:\n{done.stderr[-2000:]}")
        wheel = next(folder.glob("*.whl"))
        python, missing = colab_like(folder / "env", arguments.torch)
        before = installed(python)
        print(", ".join(f"{name} {before[name]}" for name in json.loads(VERSIONS.read_text())["versions"]))
        for name in missing:
            print(f"not to be had here: {name}")
        start = time.monotonic()
        subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True)
        seconds = {"install": time.monotonic() - start}
        print(f"the package: installed in {seconds['install']:.0f} s")
        if seconds["install"] > LONGEST:
            faults.append(f"installing takes {seconds['install']:.0f} s, more than {LONGEST:.0f}")
        faults += [f"installing the package changes {change}" for change in changes(before, installed(python))]
        for number in arguments.chapters:
            chapter = next((ROOT / "notebooks").glob(f"{number}_*.ipynb"))
            start = time.monotonic()
            command = [python, "-m", "nbconvert", "--to", "notebook", "--execute", "--output-dir", folder, chapter]
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
            seconds[f"chapter_{number}"] = time.monotonic() - start
            print(f"{chapter.name}: {'ran' if not done.returncode else 'FAILED'}, {seconds[f'chapter_{number}']:.0f} s")
            if done.returncode:
                faults.append(f"{chapter.name} does not run:\n{done.stderr[-3000:]}")
    if faults:
        sys.exit("\n".join(faults))
    if arguments.record:
        from vsa_lite.results import record_run

        record_run(
            ROOT / "results" / "classroom.json",
            what="Colab's versions",
            dataset="scenes",
            split="all",
            backbone="none",
            regions="none",
            config={"not_to_be_had": missing, "colabs_torch": arguments.torch},
            seed=0,
            metrics={f"{name}_seconds": value for name, value in seconds.items()},
            seconds=sum(seconds.values()),
        )


if __name__ == "__main__":
    main()
