"""Each chapter by itself, from its first cell to its last, in a fresh process: seconds, memory, and what it holds.

    python -m benchmarks.chapters                                 # scenes, about five minutes
    python -m benchmarks.chapters --size flickr8k --only 09 10    # needs VSA_LITE_DATA and VSA_LITE_FEATURES
    python -m benchmarks.chapters --site _build/html              # how large the built site is

Writes results/book.json, a run for each chapter and size; pages show their times from there. What chapters share is
made first and timed as a line of its own (`material`), so that a chapter's time does not depend on which came before
(with `--only`, a chapter's time has all that it needs in it).
Memory is the largest resident size of the chapter's kernel. Equations, figures, exercises, checks and widgets are
counted in the executed notebook; a slider over pictures counts as one figure and one widget.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from vsa_lite.results import record_run

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results" / "book.json"
DEFAULT = 'SIZE = "scenes"'
MEMORY = """
import resource, sys
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""
MATERIAL = """
from vsa_lite.material import Material

SIZE = "scenes"
material = Material(SIZE)
material.alignment, material.captions
"""


def execute(notebook: nbformat.NotebookNode, size: str) -> tuple[float, int]:
    """Run a notebook's cells in another size; seconds, and bytes of memory at most. Its outputs are put into it."""
    for cell in notebook.cells:
        cell.source = cell.source.replace(DEFAULT, f'SIZE = "{size}"', 1)
    notebook.cells.append(nbformat.v4.new_code_cell(MEMORY))
    client = NotebookClient(
        notebook, timeout=None, startup_timeout=600, resources={"metadata": {"path": str(ROOT / "notebooks")}}
    )
    started = time.perf_counter()
    client.execute()
    return time.perf_counter() - started, int(notebook.cells.pop().outputs[0].text)


def title_of(notebook: nbformat.NotebookNode) -> str:
    """The first heading."""
    return next(re.search(r"^# (.+)$", cell.source, re.M)[1] for cell in notebook.cells if cell.cell_type == "markdown")


def counts(notebook: nbformat.NotebookNode) -> Counter[str]:
    """Equations, figures, exercises, checks and widgets of an executed notebook."""
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    shown = [output.data for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    found: Counter[str] = Counter(
        equations=len(re.findall(r"\$\$.+?\$\$", prose, re.S)) + prose.count("```{math}"),
        exercises=len(re.findall(r"^\*\*\d+[.:]? ?[^*\n]*\*\*", prose, re.M)),
        checks=len(set(re.findall(r"\bcheck_\w+(?=\()", code))),
    )
    for data in shown:
        page = data.get("text/html", "")
        moving = "<script" in page  # a viewer, or a slider over pictures
        live = "application/vnd.jupyter.widget-view+json" in data
        found["figures"] += moving or live or "<svg" in page or "<img" in page or "image/png" in data
        found["widgets"] += moving or live
    return found


def measure(path: Path, size: str, keep: Path | None) -> None:
    """Run one chapter and record it."""
    notebook = nbformat.read(path, 4)
    seconds, memory = execute(notebook, size)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, keep / path.name)
    record(path.stem, title_of(notebook), size, seconds, memory, counts(notebook))


def record(name: str, title: str, size: str, seconds: float, memory: int, found: Counter[str]) -> None:
    metrics = {"seconds": seconds, "peak_memory_gb": memory / 1e9, **found}
    record_run(
        RESULTS,
        **{"what": name, "dataset": size, "split": "all", "backbone": "none", "regions": "none"},
        **{"config": {"title": title}, "seed": None, "metrics": metrics, "seconds": seconds},
    )
    print(f"{name}, {size}: {seconds:.0f} s, {memory / 1e9:.2f} GB, {dict(found)}", flush=True)


def measure_site(folder: Path) -> None:
    """Record how large the built site is, and its largest page."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    if not files:
        raise SystemExit(f"{folder} holds no site: build it with `python3 tasks.py book`")
    pages = [path.stat().st_size for path in files if path.suffix == ".html"]
    size = sum(path.stat().st_size for path in files)
    metrics = {"pages": len(pages), "site_mb": size / 1e6, "largest_page_mb": max(pages) / 1e6}
    record_run(
        RESULTS,
        **{"what": "the site", "dataset": "scenes", "split": "all", "backbone": "none", "regions": "none"},
        **{"config": {"title": "the built site"}, "seed": None, "metrics": metrics, "seconds": 0.0},
    )
    print({key: round(value, 2) for key, value in metrics.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=["scenes", "flickr8k"], default="scenes")
    parser.add_argument("--only", nargs="+", metavar="NUMBER", help="chapters, such as 09; without it all of them")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave the executed chapters here, to be read")
    parser.add_argument("--site", type=Path, metavar="FOLDER", help="measure the built site instead")
    chosen = parser.parse_args()
    if chosen.site:
        return measure_site(chosen.site)
    numbers = {path.stem[:2]: path for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))}
    if chosen.size != "scenes":
        del numbers["00"]  # the tour is of scenes
    unknown = set(chosen.only or []) - set(numbers)
    if unknown:
        parser.error(f"no chapter {', '.join(sorted(unknown))}; there are {', '.join(numbers)}")
    if chosen.size == "scenes":
        # a cache of its own: what chapters share is made here, and timed
        cache = tempfile.mkdtemp()
        os.environ["VSA_LITE_CACHE"] = cache
    try:
        material = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(MATERIAL)])
        made = execute(material, chosen.size)
        if not chosen.only:
            record("material", "What chapters share", chosen.size, *made, Counter())
        failed = []
        for number in chosen.only or numbers:
            try:
                measure(numbers[number], chosen.size, chosen.keep)
            except Exception as error:  # the others are still worth their time
                failed.append(number)
                print(f"{numbers[number].stem}: {type(error).__name__}: {str(error)[-1500:]}", flush=True)
    finally:
        if chosen.size == "scenes":
            shutil.rmtree(cache)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
