"""Sphinx extension: the `rooms` directive documents the whole package, and docstrings may be written plainly.

    ```{rooms} vsa_lite.data vsa_lite.words
    ```

lists every module of these rooms, and `{rooms} vsa_lite` those that are in none, so that a new module is on the page
without anybody remembering it. In docstrings, `code` in single backticks is code, and a lone `*`, `|` or trailing `_`
is itself.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

# what is left as it is: a role with its text, a literal, mathematics
PLAIN = re.compile(r"(:[\w:]+:`[^`]+`|``[^`]+``|`[^`]+`_{0,2})")


def modules_of(name: str) -> list[str]:
    """The names of a room and of the modules in it; of the package as a whole, the modules that are in no room."""
    package = importlib.import_module(name)
    inside = [
        f"{name}.{found.name}"
        for found in pkgutil.iter_modules(package.__path__)
        if not found.name.startswith("_") and not found.ispkg
    ]
    return inside if "." not in name else [name, *inside]


class Rooms(SphinxDirective):
    """One section with an `automodule` for each module of the packages named in the argument."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        lines = []
        for name in self.arguments[0].split():
            for module in modules_of(name):
                lines += [f"### {module.removeprefix('vsa_lite.')}", "", "```{eval-rst}", f".. automodule:: {module}"]
                lines += ["   :members:", "   :ignore-module-all:", "```", ""]  # a name is shown where it lives
                self.env.note_dependency(inspect.getsourcefile(importlib.import_module(module)))
        node = nodes.section()
        node.document = self.state.document
        self.state.nested_parse(StringList(lines, source=f"rooms {self.arguments[0]}"), 0, node, match_titles=1)
        return node.children


def write_plainly(app: Sphinx, what, name, obj, options, lines: list[str]) -> None:
    """Make reStructuredText of docstrings in which single backticks mean code. Runs after napoleon."""
    in_block, text = False, []
    for line in lines:
        if line.strip() and not line.startswith(" "):
            in_block = False
        if not in_block and line.strip() and not line.lstrip().startswith(".. "):
            line = "".join(
                part if index % 2 and not re.fullmatch(r"`[^`]+`", part) else _mend(part, bool(index % 2))
                for index, part in enumerate(PLAIN.split(line))
            )
        if line.startswith((".. math::", ".. code")) or line.endswith("::"):
            in_block = True
        text.append(line)
    lines[:] = text


def leave_out_inherited(app: Sphinx, what, name, obj, skip, options) -> bool | None:
    """A method that another library has written into a class of ours is documented there."""
    foreign = inspect.isroutine(obj) and not (getattr(obj, "__module__", None) or "vsa_lite").startswith("vsa_lite")
    return True if foreign else None


def _mend(part: str, code: bool) -> str:
    if code:
        return f"`{part}`"
    part = re.sub(r"(?<![\\*:])\*(?![*\s])(?!args|kwargs)", r"\\*", part) if part.count("*") % 2 else part
    part = re.sub(r"(?<!\\)\|", r"\\|", part)
    return re.sub(r"(?<=\w)_(?=\W|$)", r"\\_", part)


def setup(app: Sphinx):
    app.add_directive("rooms", Rooms)
    app.connect("autodoc-skip-member", leave_out_inherited)
    app.connect("autodoc-process-docstring", write_plainly, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
