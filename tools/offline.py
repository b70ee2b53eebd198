"""A folder to copy to machines without a network: packages, chapters, assignments, the built book, and how to begin.

    python tools/offline.py FOLDER

For machines with the same system and Python as this one. What is there already is not downloaded again.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START = """# Begin

In this folder, with Python {version}:

    python3 -m venv env
    env/bin/python -m pip install --no-index --find-links packages "vsa-lite[lab,metrics]"
    env/bin/jupyter lab notebooks

On Windows it is `env\\Scripts` in place of `env/bin`. `env/bin/vsa-lite doctor` says what is wrong, if something is.
The book is `book/index.html`; open it in a browser. Assignments are in `assignments`.
"""


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("offline takes one folder, where everything is put")
    folder = Path(sys.argv[1]).resolve()
    packages = folder / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    for old in packages.glob("vsa_lite-*.whl"):
        old.unlink()
    subprocess.run([sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "-o", packages, ROOT], check=True)
    wheel = next(packages.glob("vsa_lite-*.whl"))
    download = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--progress-bar", "off"]
    where = ["--dest", packages, "--find-links", packages, "-c", ROOT / "constraints.txt"]
    subprocess.run([*download, "--prefer-binary", *where, f"{wheel}[lab,metrics]", "pip"], check=True)
    copies = {"notebooks": ROOT / "notebooks", "assignments": ROOT / "assignments" / "student"}
    built = ROOT / "_build" / "html"
    copies |= {"book": built} if (built / "index.html").exists() else {}
    for name, source in copies.items():
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    (folder / "START.md").write_text(START.format(version=f"{sys.version_info[0]}.{sys.version_info[1]}"), "utf-8")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9
    print(f"{folder}: {size:.1f} GB; START.md in it says how to begin")
    if "book" not in copies:
        print("the book is not in it: build it first, python3 tasks.py book")


if __name__ == "__main__":
    main()
