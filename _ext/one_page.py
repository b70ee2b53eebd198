"""Sphinx extension: the edition in one page knows every node that the pages know.

Some extensions register their nodes for the builder `singlehtml` by its name. Sphinx then asks nobody else for it, and
nodes that others have registered for HTML in general are unknown.
"""

from __future__ import annotations

from sphinx.application import Sphinx


def share_handlers(app: Sphinx) -> None:
    handlers = app.registry.translation_handlers
    for node, functions in handlers.get("html", {}).items():
        handlers.setdefault("singlehtml", {}).setdefault(node, functions)


def setup(app: Sphinx) -> dict:
    app.connect("builder-inited", share_handlers)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
