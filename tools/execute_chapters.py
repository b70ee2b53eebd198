"""Execute the chapters that the cache lacks, two at a time, so that the build finds every one of them ready.

    python tools/execute_chapters.py

Most of a chapter runs on one core, so two kernels of one thread each finish in little more than half the time of one
after the other. A chapter that fails is executed again by the build, which reports it.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from multiprocessing import get_context
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "_ext"))

from notebook_cache import cache_folder  # noqa: E402

AT_ONCE = 2
TIMEOUT = 300  # seconds a cell, as in _config.yml
# the tour makes what others share, while the next three, which ask for none of it, run; then the longest
FIRST = ("00_tour", "01_one_hot_words", "02_word2vec", "03_brnn", "14_feedback")


def execute(path: Path) -> tuple[str, bool, float]:
    """Run one chapter and keep what it gave; its name, whether it ran well, and the seconds that it took."""
    started = time.monotonic()
    executor = load_executor("local-serial", get_cache(cache_folder(ROOT)), logging.getLogger("chapters"))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what kernels say of themselves; an error of a cell is kept with it
    done = executor.run_and_cache(filter_uris=[str(path)], timeout=TIMEOUT)
    return path.stem, not (done.excepted or done.errored), time.monotonic() - started


def main() -> None:
    cache = get_cache(cache_folder(ROOT))
    turn = {name: number for number, name in enumerate(FIRST)}
    notebooks = (ROOT / "notebooks").glob("*.ipynb")
    chapters = sorted(notebooks, key=lambda path: (turn.get(path.stem, len(turn)), path.stem))
    for path in chapters:
        cache.add_nb_to_project(str(path))
    missing = [path for path in chapters if not cache.get_cached_project_nb(str(path))]
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // AT_ONCE))
    started = time.monotonic()
    with get_context("spawn").Pool(AT_ONCE, maxtasksperchild=1) as pool:
        for name, good, seconds in pool.imap_unordered(execute, missing, chunksize=1):
            print(f"{name}: {'ran' if good else 'FAILED'}, {seconds:.0f} s", flush=True)
    print(f"{len(missing)} of {len(chapters)} chapters executed in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
