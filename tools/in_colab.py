"""What the weekly run does inside Colab's own image: install the package, compare, run every chapter.

Usage, in the repository: python3 tools/in_colab.py

It fails where installing the package changes anything that Colab brings, or where a chapter does not run. Every chapter
is tried. Only the standard library is used, and what Colab itself has.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ROOT / "tests" / "colab_versions.json"


def installed() -> dict[str, str]:
    """Name and version of every package that is installed."""
    command = [sys.executable, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {package["name"].lower(): package["version"] for package in json.loads(done.stdout)}


def changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """ "NAME OLD -> NEW" for each package of `before` that `after` has otherwise or not at all."""
    return [f"{name} {old} -> {after.get(name, 'gone')}" for name, old in before.items() if after.get(name) != old]


def main() -> None:
    faults = []
    before = installed()
    print(f"Python {sys.version.split()[0]}")
    for name, version in json.loads(VERSIONS.read_text(encoding="utf-8"))["versions"].items():
        print(f"{name} {before.get(name, 'absent')} (in {VERSIONS.name}: {version})")
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", str(ROOT)], check=True)
    faults += [f"installing the package changes {change}" for change in changes(before, installed())]
    with tempfile.TemporaryDirectory() as folder:
        for chapter in sorted((ROOT / "notebooks").glob("*.ipynb")):
            start = time.monotonic()
            command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--output-dir", folder]
            done = subprocess.run([*command, str(chapter)], capture_output=True, text=True)
            print(f"{chapter.name}: {'ran' if done.returncode == 0 else 'FAILED'}, {time.monotonic() - start:.0f} s")
            if done.returncode:
                faults.append(f"{chapter.name} does not run:\n{done.stderr[-3000:]}")
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
