"""Sphinx extension: the `citation` directive says how to cite this book, from CITATION.cff, in words and in BibTeX."""

from __future__ import annotations

from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def bibtex(entry: dict, kind: str, key: str) -> str:
    """A BibTeX entry of a work in CITATION.cff."""

    def name(author: dict) -> str:
        return f"{{{author['name']}}}" if "name" in author else f"{author['family-names']}, {author['given-names']}"

    pages = f"{entry['start']}--{entry['end']}" if "start" in entry else None
    number = entry.get("issue")
    fields = {
        "title": f"{{{entry['title']}}}",
        "author": " and ".join(map(name, entry["authors"])),
        "journal": entry.get("journal"),
        "volume": entry.get("volume"),
        "number": number,
        "pages": pages,
        "year": entry.get("year"),
        "version": entry.get("version"),
        "url": entry.get("repository-code"),
    }
    lines = [f"  {field} = {{{value}}}," for field, value in fields.items() if value is not None]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])


class Citation(SphinxDirective):
    """The book's own entry, then the paper's."""

    def run(self) -> list[nodes.Node]:
        path = Path(self.env.srcdir) / "CITATION.cff"
        self.env.note_dependency(str(path))
        about = yaml.safe_load(path.read_text(encoding="utf-8"))
        (paper,) = about["references"]
        entries = [(about, "software", "vsa-lite"), (paper, "article", "karpathy2017deep")]
        blocks = [nodes.literal_block(text, text) for text in (bibtex(*entry) for entry in entries)]
        for block in blocks:
            block["language"] = "bibtex"
        return [nodes.paragraph(about["message"], about["message"]), *blocks]


def setup(app: Sphinx):
    app.add_directive("citation", Citation)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
