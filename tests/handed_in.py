"""Submissions with stored mistakes in them, for the tests and for benchmarks/classroom.py."""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "assignments"))

import make  # noqa: E402


def _code(name):
    return (ROOT / "tests" / "mistakes" / f"{name}.py").read_text(encoding="utf-8")


def mistakes_in(name):
    """The mistakes that are stored for an assignment: PART__WHAT."""
    functions = [node.name for node in ast.parse(_code(name)).body if isinstance(node, ast.FunctionDef)]
    return [function for function in functions if "__" in function]


def with_mistakes(name, mistakes):
    """The solution of an assignment, as text, with the functions of these mistakes replaced."""
    made = make.solution(make.read(ROOT / "assignments" / f"{name}.ipynb"))
    for cell in made.cells:
        for mistake in mistakes:
            part = mistake.split("__")[0]
            if cell.metadata.get("nbgrader", {}).get("grade_id") == part:
                cell.source = f"{_code(name)}\n\n{part} = {mistake}"
    return make.text(made)
