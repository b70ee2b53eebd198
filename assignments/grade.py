"""Grade what students handed in, by nbgrader and without asking anything.

    python assignments/grade.py 1_words HANDED_IN --out grades.csv

HANDED_IN is a folder of notebooks, each named after its student (ada.ipynb), or of folders named after students with a
notebook in each. grades.csv has a row a student: points of each part that tests mark, their sum, and how many there are
to get. A part whose cells are missing in what was handed in has an empty field, as has the sum: look for yourself. What
cannot be graded is named with its reason. Before anything is graded, the solution must get full marks and the untouched
student's notebook none: if not, the environment is broken, and nothing is graded. Needs the extra `grading`.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import nbformat
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
    """The notebook of each student; hidden files are passed over, and what else is no notebook is named.

    Raises:
        ValueError: where there is none, or a student has several.
    """
    found: dict[str, Path] = {}
    for entry in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        inside = sorted(entry.iterdir()) if entry.is_dir() else [entry]
        notebooks = [path for path in inside if path.suffix == ".ipynb" and not path.name.startswith(".")]
        if not notebooks:
            print(f"{entry.stem}: not graded, no notebook: {entry}", file=sys.stderr)
        for path in notebooks:
            name = entry.name if entry.is_dir() else entry.stem
            if name in found:
                raise ValueError(f"{name} has handed in two notebooks: {found[name]} and {path}")
            found[name] = path
    if not found:
        raise ValueError(f"no notebook in {folder}")
    return found


def grade(assignment: str, submissions: dict[str, Path]) -> dict[str, dict[str, float | None]]:
    """Points of every student by the part's name, of the parts that tests mark; "of" holds what there is to get.

    A notebook that nbgrader cannot grade is named with the reason, and its student is missing from what is returned. A
    part whose cells were not handed in is named too, and its points are None: no tests have said that it is wrong.

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
        with _nbgrader(course) as api:
            made = api.generate_assignment(assignment)
            if not made["success"]:
                raise GradingError(f"nbgrader cannot read the assignment:\n{made['log']}\n{made['error']}")
            reasons = {who: _reason(api.autograde(assignment, who)) for who in PROBES}
            _try_probes(assignment, _marks(course, assignment), reasons)
            reasons = {who: _reason(api.autograde(assignment, who)) for who in submissions}
        marks = _marks(course, assignment)
    of = marks.pop("of")
    for who in PROBES:
        del marks[who]
    there = set(_grade_ids(text(read(source))))
    for who, path in submissions.items():
        names = _grade_ids(path.read_text(encoding="utf-8", errors="replace"))
        if who not in marks:
            foreign = sorted(set(names) - there)
            why = [f"cells of another assignment ({', '.join(foreign)})"] * bool(foreign)
            why += [f"{count} cells are {name}" for name, count in names.items() if count > 1]
            print(f"{who}: not graded, {'; '.join([*why, reasons[who]])}: {path}", file=sys.stderr)
            continue
        absent = sorted(there - set(names))
        if absent:
            print(f"{who}: cells are missing, see for yourself: {', '.join(absent)}: {path}", file=sys.stderr)
        lost = {part.removeprefix("test_") for part in absent}
        marks[who] = {part: None if part in lost and not points else points for part, points in marks[who].items()}
    return {"of": of, **marks}


def _submit(course: Path, who: str, assignment: str, notebook: str) -> None:
    out = course / "submitted" / who / assignment / f"{assignment}.ipynb"
    out.parent.mkdir(parents=True)
    out.write_text(notebook, encoding="utf-8")


def _grade_ids(notebook: str) -> Counter[str]:
    """How often each of nbgrader's names stands in a notebook; none in what is no notebook."""
    try:
        cells = nbformat.reads(notebook, as_version=4).cells
        return Counter(name for cell in cells if (name := cell.metadata.get("nbgrader", {}).get("grade_id")))
    except Exception:  # whatever it is, nbgrader cannot read it either, and says why
        return Counter()


def _reason(result: dict) -> str:
    """The last error that nbgrader tells of, in a line; its own, that there was one, is the last resort."""
    told = f"{result.get('error')}\n{result.get('log')}"
    errors = re.findall(r"^\s*(?:\w+\.)*(\w+(?:Error|Exception): .+)", told, re.M)
    errors = [line for line in errors if not line.startswith("NbGraderException")] or errors
    return errors[-1].strip() if errors else "nbgrader gives no reason"


def _try_probes(assignment: str, marks: dict[str, dict[str, float]], reasons: dict[str, str]) -> None:
    """Raise GradingError unless the solution has full marks and the untouched notebook none."""
    for who, due in zip(PROBES, (marks["of"], dict.fromkeys(marks["of"], 0)), strict=True):
        if who not in marks:
            raise GradingError(f"the environment cannot grade {assignment}: {who} was not graded, {reasons[who]}")
        wrong = [part for part, points in due.items() if marks[who][part] != points]
        if wrong:
            raise GradingError(f"the environment cannot grade {assignment}: {who} has wrong points for {wrong}")


@contextlib.contextmanager
def _nbgrader(course: Path) -> Iterator[NbGraderAPI]:
    """nbgrader for a course, quiet, in its folder."""
    config = Config()
    config.CourseDirectory.root = str(course)
    for settings in (config.ExecutePreprocessor, config.Execute):
        settings.timeout = CELL_TIMEOUT
        settings.startup_timeout = CELL_TIMEOUT  # a slow machine starts a kernel slowly
        settings.iopub_timeout = CELL_TIMEOUT  # and its outputs come late: 4 seconds are too few where others work
    config.ClearMarkScheme.enforce_metadata = False
    config.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
    api = NbGraderAPI(config=config)
    here, path = Path.cwd(), os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), path])  # nbgrader calls alembic by its name
    try:
        os.chdir(course)
        with contextlib.redirect_stdout(io.StringIO()):
            yield api
    finally:
        os.chdir(here)
        os.environ["PATH"] = path


def _marks(course: Path, assignment: str) -> dict[str, dict[str, float]]:
    """Points by student and part; those that there are to get as "of"."""
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
    except (GradingError, ValueError, OSError) as error:  # a folder that is not there, for one
        sys.exit(f"error: {error}")
    of = marks.pop("of")
    part = arguments.out.with_name(f"{arguments.out.name}.part")
    with part.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["student", *of, "sum", "of"])
        for who, points in sorted(marks.items()):
            known = None not in points.values()  # a sum without a part would look like one with it
            rows.writerow([who, *points.values(), sum(points.values()) if known else None, sum(of.values())])
    part.replace(arguments.out)
    print(f"{arguments.out}: {len(marks)} students, {sum(of.values()):g} points to get by tests")


if __name__ == "__main__":
    main()
