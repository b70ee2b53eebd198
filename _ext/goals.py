"""The directive `goals`: what each chapter promises, and its exercises and self-checks, read from the chapters."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

PROMISE = re.compile(r"\*\*After this chapter you can\*\*\n\n(.*?)(?:\n\n|\Z)", re.S)
EXERCISE = re.compile(r"^\*\*(\d)[^*\n]*\*\*(?: \*\([\w-]+\)\*)? (.+?)(?=\n\n|\Z)", re.S | re.M)
CHECK = re.compile(r"^(check_\w+)\(", re.M)


def chapter(path: Path) -> tuple[list[str], list[str], list[str]]:
    """Goals, exercises (the first sentence of each) and names of self-checks of a chapter."""
    cells = nbformat.read(path, as_version=4).cells
    parts = [cell.source for cell in cells if cell.cell_type == "markdown"]
    promise = next((found[1] for part in parts if (found := PROMISE.search(part))), "")
    goals = [" ".join(goal.split()).rstrip(";.") for goal in re.split(r"^- ", promise, flags=re.M)[1:]]
    start = next((n for n, part in enumerate(parts) if part.startswith("## Exercises")), len(parts))
    asked = [" ".join(found[2].split()) for part in parts[start:] for found in EXERCISE.finditer(part)]
    first = [re.match(r"(.+?[.?:])(?: [A-Z*`$]|$)", text) for text in asked]
    exercises = [found[1].rstrip(":") if found else text for found, text in zip(first, asked, strict=True)]
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    return goals, exercises, list(dict.fromkeys(CHECK.findall(code)))


class Goals(SphinxDirective):
    """A section a chapter."""

    def run(self) -> list[nodes.Node]:
        folder = Path(self.env.srcdir) / "notebooks"
        lines: list[str] = []
        for path in sorted(folder.glob("*.ipynb")):
            self.env.note_dependency(str(path))
            goals, exercises, checks = chapter(path)
            if not goals:  # the tour promises nothing
                continue
            lines += ["", f"**{{doc}}`/notebooks/{path.stem}`**", "", *(f"- {goal}" for goal in goals)]
            lines += ["", "  Tried in:", "", *(f"  {n}. {text}" for n, text in enumerate(exercises, start=1))]
            if checks:
                lines += ["", f"  Self-checks: {', '.join(f'`{name}`' for name in checks)}"]
        holder = nodes.container(classes=["vsa-goals"])
        self.state.nested_parse(StringList(lines, "goals"), 0, holder)
        return [holder]


def setup(app) -> dict:
    app.add_directive("goals", Goals)
    return {"version": "1", "parallel_read_safe": True}
