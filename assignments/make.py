"""From each assignment's one notebook: what the student gets, the solution, and what the teacher needs.

    python assignments/make.py student [--check]     # assignments/student/; --check: fail if they would change
    python assignments/make.py bundle FOLDER         # all three of every assignment, and a guide to marking

The source holds nbgrader's markers. The student's notebook lacks solutions (a stub raises NotImplementedError), hidden
tests and mark schemes; the solution lacks hidden tests and mark schemes; the teacher's is the source. The same input
gives the same bytes. Needs the extra `grading`.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearHiddenTests, ClearMarkScheme, ClearSolutions

HERE = Path(__file__).resolve().parent
SOURCES = sorted(HERE.glob("[0-9]_*.ipynb"))
STUB = "raise NotImplementedError  # your lines here"
MARKERS = re.compile(r"^[ \t]*### (?:BEGIN|END) SOLUTION[ \t]*\n?", re.M)
SCHEME = re.compile(r"### BEGIN MARK SCHEME\n(.*?)\n### END MARK SCHEME", re.S)


def student(source: NotebookNode) -> NotebookNode:
    """What a student gets: stubs in place of solutions, and only the tests that may be seen."""
    made = solution(source, keep=True)
    cleared = ClearSolutions(code_stub={"python": STUB}, text_stub="*Your answer here.*")
    return cleared.preprocess(made, {})[0]


def solution(source: NotebookNode, keep: bool = False) -> NotebookNode:
    """The source without hidden tests and mark schemes; without the solutions' markers unless they are kept."""
    made = nbformat.from_dict(source)
    for remove in (ClearHiddenTests(), ClearMarkScheme(enforce_metadata=False)):
        made = remove.preprocess(made, {})[0]
    for cell in made.cells:
        if not keep:
            cell.source = MARKERS.sub("", cell.source)
        cell.source = cell.source.rstrip()
    return made


def guide(source: NotebookNode, title: str) -> str:
    """How to mark one assignment: points of each part, its common mistakes, what to look for where a person marks."""
    lines, total = [f"# {title}", "", "| part | points | marked by |", "|---|---|---|"], 0
    graded = [cell for cell in source.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    for cell in graded:
        about = cell.metadata.nbgrader
        total += about.points
        hand = "a person" if about.solution else "its tests"
        lines.append(f"| {about.grade_id.removeprefix('test_')} | {about.points} | {hand} |")
    lines += [f"| all | {total} | |", ""]
    for cell in graded:
        if scheme := SCHEME.search(cell.source):  # in a cell of tests it is a comment
            look_for = re.sub(r"^# ", "", scheme[1], flags=re.M)
            lines += [f"**{cell.metadata.nbgrader.grade_id.removeprefix('test_')}.** {look_for}", ""]
    return "\n".join(lines)


def text(notebook: NotebookNode) -> str:
    """A notebook as it is written to a file."""
    return nbformat.writes(notebook, version=4) + "\n"


def read(path: Path) -> NotebookNode:
    """A notebook file."""
    return nbformat.read(path, as_version=4)


def write_students(check: bool) -> None:
    """The students' notebooks beside the sources; with `check` nothing is written, and what would change is named."""
    stale = []
    for path in SOURCES:
        out, made = HERE / "student" / path.name, text(student(read(path)))
        if check:
            stale += [] if out.exists() and out.read_text(encoding="utf-8") == made else [out.name]
        else:
            out.parent.mkdir(exist_ok=True)
            out.write_text(made, encoding="utf-8")
    if stale:
        sys.exit(f"not made from their sources: {', '.join(stale)}; run `python assignments/make.py student`")


def write_bundle(folder: Path) -> None:
    """Everything a teacher needs, in a folder of their own."""
    for path in SOURCES:
        source = read(path)
        for kind, made in (("student", student(source)), ("solution", solution(source)), ("teacher", source)):
            out = folder / kind / path.name
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(text(made), encoding="utf-8")
    pages = [guide(read(path), path.stem.replace("_", " ")) for path in SOURCES]
    (folder / "marking.md").write_text("\n".join(pages), encoding="utf-8")
    print(f"{folder}: student, solution and teacher of {len(SOURCES)} assignments, and marking.md")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(dest="what", required=True)
    what.add_parser("student").add_argument("--check", action="store_true")
    what.add_parser("bundle").add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if arguments.what == "student":
        write_students(arguments.check)
    else:
        write_bundle(arguments.folder)


if __name__ == "__main__":
    main()
