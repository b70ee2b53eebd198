"""Sphinx extension: what results/book.json says of each chapter stands under its title, and in one table.

```{running-times}
```
"""

from __future__ import annotations

import json
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

SIZES = {"scenes": "on scenes", "flickr8k": "on Flickr8k"}
COUNTS = ("equations", "figures", "widgets", "exercises", "checks")


def book_of(env) -> list[dict]:
    """The runs of results/book.json; a page that shows them is made again when they change."""
    path = Path(env.srcdir) / "results" / "book.json"
    env.note_dependency(str(path))
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def time_of(seconds: float) -> str:
    """Seconds as people say them."""
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"


def on_top(app: Sphinx, doctree: nodes.document) -> None:
    """The measured times of a chapter, under its title."""
    folder, _, name = app.env.docname.partition("/")
    runs = [run for run in book_of(app.env) if run["what"] == name] if folder == "notebooks" else []
    if not runs:
        return
    machines = list(dict.fromkeys(run["hardware"] for run in runs))
    parts = [
        f"{time_of(run['metrics']['seconds'])} and {run['metrics']['peak_memory_gb']:.1f} GB {SIZES[run['dataset']]}"
        + (f" ({run['hardware']})" if len(machines) > 1 else "")
        for run in runs
    ]
    text = f"To run, measured: {', '.join(parts)}" + (f" ({machines[0]})." if len(machines) == 1 else ".")
    title = next(iter(doctree.findall(nodes.title)))
    title.parent.insert(title.parent.index(title) + 1, nodes.paragraph("", "", nodes.emphasis(text, text)))


class RunningTimes(SphinxDirective):
    """A table: a line for each chapter."""

    def run(self) -> list[nodes.Node]:
        runs = {(run["what"], run["dataset"]): run for run in book_of(self.env)}
        names = [*dict.fromkeys(name for name, _ in runs if name != "the site")]
        heads = ["", *(f"seconds {where}" for where in SIZES.values()), *(f"GB {where}" for where in SIZES.values())]
        rows = [[*heads, *COUNTS]]
        for name in names:
            found = [runs.get((name, size), {}).get("metrics", {}) for size in SIZES]
            one = next(run for (what, _), run in runs.items() if what == name)
            cells = [f"{metrics['seconds']:.0f}" if metrics else "" for metrics in found]
            cells += [f"{metrics['peak_memory_gb']:.1f}" if metrics else "" for metrics in found]
            counted = found[0] or found[1]
            rows.append([one["config"]["title"], *cells, *(f"{counted.get(key, 0):.0f}" for key in COUNTS)])
        return [table_of(rows)]


def table_of(rows: list[list[str]]) -> nodes.table:
    """A table whose first row is its head; all but the first column are numbers."""
    group = nodes.tgroup(cols=len(rows[0]))
    group += [nodes.colspec(colwidth=1) for _ in rows[0]]
    head, body = nodes.thead(), nodes.tbody()
    for place, cells in zip([head, *[body] * (len(rows) - 1)], rows, strict=True):
        row = nodes.row()
        for column, text in enumerate(cells):
            entry = nodes.entry("", nodes.paragraph(text, text), classes=["text-right"] if column else [])
            row += entry
        place += row
    group += [head, body]
    return nodes.table("", group)


def setup(app: Sphinx):
    app.add_directive("running-times", RunningTimes)
    app.connect("doctree-read", on_top)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
