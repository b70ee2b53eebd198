"""Grade what students handed in, by nbgrader and without asking anything.

    python assignments/grade.py 1_words HANDED_IN --out grades.csv

HANDED_IN is a folder of notebooks, each named after its student (ada.ipynb), or of folders named after students with a
notebook in each. grades.csv has a row a student: points of each part that tests mark, their sum, and how many points
are left for a person to give. Before anything is graded, the solution must get full marks and the untouched student's
notebook none: if not, the environment is broken, and nothing is graded. Needs the extra `grading`.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
import sys
import tempfile
from pathlib import Path

from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

sys.path.insert(0, str(Path(__file__).resolve().parent))

from make import SOURCES, read, solution, student, text

CELL_TIMEOUT = 120  # seconds
PROBES = {"probe-solution": solution, "probe-empty": student}


class GradingError(RuntimeError):
    """The environment cannot grade: marks would mean nothing."""


def handed_in(folder: Path) -> dict[str, Path]:
    """The notebook of each student.

    Raises:
        ValueError: where there is none, or a student has several.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*.ipynb")) + sorted(folder.glob("*/*.ipynb")):
        name = path.stem if path.parent == folder else path.parent.name
        if name in found:
            raise ValueError(f"{name} has handed in two notebooks: {found[name]} and {path}")
        found[name] = path
    if not found:
        raise ValueError(f"no notebook in {folder}")
    return found


def grade(assignment: str, submissions: dict[str, Path]) -> dict[str, dict[str, float]]:
    """Points of every student by the part's name, of the parts that tests mark; "of" holds what there is to get.

    A notebook that nbgrader cannot read or run to its end is named, and its student is missing from what is returned.

    Raises:
        GradingError: if the solution does not get full marks or the untouched notebook gets any.
        ValueError: for an unknown assignment.
    """
    source = next((path for path in SOURCES if path.stem == assignment), None)
    if source is None:
        raise ValueError(f"no assignment {assignment!r}; there are {', '.join(path.stem for path in SOURCES)}")
    with tempfile.TemporaryDirectory() as name:
        course = Path(name)
        released = course / "source" / assignment
        released.mkdir(parents=True)
        (released / f"{assignment}.ipynb").write_text(text(read(source)), encoding="utf-8")
        for who, make in PROBES.items():
            _submit(course, who, assignment, text(make(read(source))))
        for who, path in submissions.items():
            _submit(course, who, assignment, path.read_text(encoding="utf-8", errors="replace"))
        marks = _autograde(course, assignment, [*PROBES, *submissions])
    of = marks.pop("of")
    full, none = (marks.pop(who, {}) for who in PROBES)
    if full != of or any(none.values()) or not none:
        lost = [part for part in of if full.get(part) != of[part]] or [part for part, points in none.items() if points]
        raise GradingError(
            f"the environment cannot grade {assignment}: the solution or the empty notebook is wrong in {lost}"
        )
    for who in submissions:
        if who not in marks:
            print(f"{who}: not graded, the notebook could not be read or run: {submissions[who]}", file=sys.stderr)
    return {"of": of, **marks}


def _submit(course: Path, who: str, assignment: str, notebook: str) -> None:
    out = course / "submitted" / who / assignment / f"{assignment}.ipynb"
    out.parent.mkdir(parents=True)
    out.write_text(notebook, encoding="utf-8")


def _autograde(course: Path, assignment: str, students: list[str]) -> dict[str, dict[str, float]]:
    """Points by student and part, and those that there are as "of"."""
    config = Config()
    config.CourseDirectory.root = str(course)
    config.ExecutePreprocessor.timeout = CELL_TIMEOUT
    config.Execute.timeout = CELL_TIMEOUT
    config.ClearMarkScheme.enforce_metadata = False
    config.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
    api = NbGraderAPI(config=config)
    here, path = Path.cwd(), os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), path])  # nbgrader calls alembic by its name
    try:
        os.chdir(course)
        with contextlib.redirect_stdout(io.StringIO()):
            made = api.generate_assignment(assignment)
            if not made["success"]:
                raise GradingError(f"nbgrader cannot read the assignment:\n{made['log']}\n{made['error']}")
            for who in students:
                api.autograde(assignment, who)
    finally:
        os.chdir(here)
        os.environ["PATH"] = path
    marks: dict[str, dict[str, float]] = {}
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        parts = book.find_assignment(assignment).notebooks[0].grade_cells
        by_tests = {cell.name: cell.max_score for cell in parts if cell.cell_type == "code"}
        marks["of"] = {name.removeprefix("test_"): points for name, points in by_tests.items()}
        for submission in book.assignment_submissions(assignment):
            notebook = submission.notebooks[0] if submission.notebooks else None
            if notebook is None or not (course / "autograded" / submission.student.id / assignment).exists():
                continue
            points = {
                one.cell.name.removeprefix("test_"): one.score for one in notebook.grades if one.cell.name in by_tests
            }
            marks[submission.student.id] = {part: points.get(part, 0.0) for part in marks["of"]}
    return marks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("assignment", help=f"one of {', '.join(path.stem for path in SOURCES)}")
    parser.add_argument("folder", type=Path, metavar="HANDED_IN")
    parser.add_argument("--out", type=Path, default=Path("grades.csv"), help="(default: grades.csv)")
    arguments = parser.parse_args()
    try:
        marks = grade(arguments.assignment, handed_in(arguments.folder))
    except (GradingError, ValueError) as error:
        sys.exit(f"error: {error}")
    of = marks.pop("of")
    part = arguments.out.with_name(f"{arguments.out.name}.part")
    with part.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["student", *of, "sum", "of"])
        for who, points in sorted(marks.items()):
            rows.writerow([who, *points.values(), sum(points.values()), sum(of.values())])
    part.replace(arguments.out)
    print(f"{arguments.out}: {len(marks)} students, {sum(of.values()):g} points to get by tests")


if __name__ == "__main__":
    main()
