"""Every figure of every chapter, as PNG and as SVG, with its text alternative and its caption: for slides.

    python tools/figures.py FOLDER [CHAPTER ...]      # CHAPTER: 06, say

Runs the chapters anew. FOLDER/06_scores/01.png, .svg and .txt are the first figure of chapter 6.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit("figures takes a folder, and numbers of chapters if not all are wanted")
    folder, numbers = Path(sys.argv[1]).resolve(), sys.argv[2:]
    chapters = [
        path for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if not numbers or path.stem[:2] in numbers
    ]
    if not chapters:
        sys.exit(f"no chapter {' '.join(numbers)}")
    for path in chapters:
        out = folder / path.stem
        out.mkdir(parents=True, exist_ok=True)
        for old in out.glob("[0-9][0-9].*"):
            old.unlink()
        os.environ["VSA_LITE_FIGURES"] = str(out)
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(path.parent)}}).execute()
        print(f"{out}: {len(list(out.glob('*.svg')))} figures", flush=True)


if __name__ == "__main__":
    main()
