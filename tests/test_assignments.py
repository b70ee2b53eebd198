"""Assignments: products never drift from their sources, a stub only drops solutions, and grading gives what is due."""

import csv
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "assignments"
sys.path.insert(0, str(FOLDER))
pytest.importorskip("nbgrader", reason="the extra `grading` is not installed")

import grade as grading  # noqa: E402
import make  # noqa: E402
from handed_in import mistakes_in, with_mistakes  # noqa: E402

NAMES = [path.stem for path in make.SOURCES]
MISTAKES = {name: mistakes_in(name) for name in NAMES}


def source(name):
    return make.read(FOLDER / f"{name}.ipynb")


def exercises(name):
    """Points of each part that tests mark."""
    cells = [cell.metadata.get("nbgrader", {}) for cell in source(name).cells if cell.cell_type == "code"]
    return {about.grade_id.removeprefix("test_"): about.points for about in cells if about.get("grade")}


def test_there_are_four_with_mistakes_for_every_part():
    assert NAMES == ["1_words", "2_pictures", "3_alignment", "4_captions"]
    for name in NAMES:
        made = {mistake.split("__")[0] for mistake in MISTAKES[name]}
        assert made == set(exercises(name))
        assert all(sum(m.startswith(f"{part}__") for m in MISTAKES[name]) >= 3 for part in made)


def test_the_students_notebooks_are_made_from_the_sources():
    make.write_students(check=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_stub_only_drops_solutions(name):
    before, after = source(name), make.student(source(name))
    assert [cell.cell_type for cell in before.cells] == [cell.cell_type for cell in after.cells]
    for old, new in zip(before.cells, after.cells, strict=True):
        lines = old.source.splitlines()
        added = [line for line in new.source.splitlines() if line not in lines]
        assert [line.strip() for line in added] in ([], [make.STUB], ["*Your answer here.*"])
        for marker in ("SOLUTION", "HIDDEN TESTS", "MARK SCHEME"):
            assert f"BEGIN {marker}" not in new.source
    assert make.text(after) == make.text(make.student(source(name)))
    assert nbformat.validate(after) is None


@pytest.mark.parametrize("name", NAMES)
def test_the_solution_shows_no_hidden_tests(name):
    text = make.text(make.solution(source(name)))
    assert "NotImplementedError" not in text
    assert "### " not in text.replace("#### ", "")


@pytest.mark.parametrize("name", NAMES)
def test_the_students_notebook_runs_to_its_end(name, tmp_path):
    """As it is handed out: every stub is still to be written, and nothing stops."""
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--output-dir", tmp_path]
    done = subprocess.run([*command, FOLDER / "student" / f"{name}.ipynb"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    ran = make.read(tmp_path / f"{name}.ipynb")
    printed = "".join(out.get("text", "") for cell in ran.cells for out in cell.get("outputs", []))
    assert printed.count("still to be written") >= len(exercises(name))


def mixed(name):
    """Some lists of mistakes: each mistake is in one of them, and beside it other parts are right."""
    parts = {part: [m for m in MISTAKES[name] if m.startswith(f"{part}__")] for part in exercises(name)}
    rounds = 1 + max(map(len, parts.values()))
    for shift in range(rounds):
        turns = ((part, (shift + n) % rounds) for n, part in enumerate(parts))
        yield [parts[part][turn] for part, turn in turns if turn < len(parts[part])]


@pytest.mark.parametrize("name", NAMES)
def test_a_mistake_loses_exactly_its_points_and_junk_is_named(name, tmp_path):
    """That the solution has full marks and the untouched notebook none is asked before every grading."""
    lists = list(mixed(name))
    assert sorted(mistake for mistakes in lists for mistake in mistakes) == sorted(MISTAKES[name])
    for number, mistakes in enumerate(lists):
        (tmp_path / f"student{number}.ipynb").write_text(with_mistakes(name, mistakes), encoding="utf-8")
    (tmp_path / "torn.ipynb").write_text("{ this is no notebook", encoding="utf-8")
    out = tmp_path / "grades.csv"
    command = [sys.executable, FOLDER / "grade.py", name, tmp_path, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    with out.open(encoding="utf-8") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    points = exercises(name)
    for number, mistakes in enumerate(lists):
        lost = {mistake.split("__")[0] for mistake in mistakes}
        got = {part: float(rows[f"student{number}"][part]) for part in points}
        assert got == {part: 0 if part in lost else points[part] for part in points}, mistakes
        assert float(rows[f"student{number}"]["sum"]) == sum(got.values())
    assert "torn" not in rows
    assert "torn: not graded, NotJSONError: Notebook does not appear to be JSON" in done.stderr


def without(notebook, *names):
    """A notebook without the cells of these names, which are nbgrader's."""
    notebook.cells = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") not in names]
    return notebook


def test_no_fault_of_a_file_is_a_silent_zero(tmp_path):
    """Cells gone or copied, another assignment, files that are no notebook: each is named, and no part is 0."""
    bare, copied, moved = (make.solution(source("1_words")) for _ in range(3))
    for cell in bare.cells:
        cell.metadata.pop("nbgrader", None)
    twice = next(cell for cell in copied.cells if cell.metadata.get("nbgrader", {}).get("grade_id") == "coverage")
    copied.cells.append(nbformat.from_dict({**twice, "id": "copy"}))
    for cell in moved.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "coverage":
            cell.metadata.pop("nbgrader")  # pasted into a cell of its own: it is there, and its tests say so
    handed_in = {
        "bare": bare,
        "copied": copied,
        "moved": moved,
        "notest": without(make.solution(source("1_words")), "test_coverage"),
        "nocode": without(make.solution(source("1_words")), "coverage"),
        "other": make.solution(source("2_pictures")),
        ".ipynb_checkpoints/ada-checkpoint": bare,
        ".ipynb_checkpoints/bob-checkpoint": bare,
    }
    for name, notebook in handed_in.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.ipynb").write_text(make.text(notebook), encoding="utf-8")
    (tmp_path / "carol").mkdir()
    for name in ("carol/1_words.py", "dave.py"):
        (tmp_path / name).write_text("def coverage(): ...")
    out = tmp_path / "grades.csv"
    command = [sys.executable, FOLDER / "grade.py", "1_words", tmp_path, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    with out.open(encoding="utf-8") as file:
        rows = {row.pop("student"): row for row in csv.DictReader(file)}
    full = {part: f"{points:.1f}" for part, points in exercises("1_words").items()}
    assert rows == {
        "bare": {**dict.fromkeys(full, ""), "sum": "", "of": "14.0"},
        "moved": {**full, "sum": "14.0", "of": "14.0"},
        "notest": {**full, "coverage": "", "sum": "", "of": "14.0"},
        "nocode": {**full, "coverage": "", "sum": "", "of": "14.0"},
    }
    for line in (
        "bare: cells are missing, see for yourself: analogy, backward_states,",
        "notest: cells are missing, see for yourself: test_coverage:",
        "nocode: cells are missing, see for yourself: coverage:",
        "copied: not graded, 2 cells are coverage; ",
        "other: not graded, cells of another assignment (average_precision, ",
        "ValidationError: ",
        "carol: not graded, no notebook: ",
        "dave: not graded, no notebook: ",
    ):
        assert line in done.stderr, line
    assert "checkpoint" not in done.stderr


def test_a_broken_environment_is_an_error_and_no_zero(monkeypatch):
    monkeypatch.setattr(grading, "PROBES", {"probe-solution": make.student, "probe-empty": make.student})
    with pytest.raises(grading.GradingError, match=r"grade 1_words: probe-solution has wrong points for .'cover"):
        grading.grade("1_words", {})


def test_a_probe_that_was_not_graded_is_told_with_the_reason():
    marks, reasons = (
        {"of": {"coverage": 2}, "probe-solution": {"coverage": 2}},
        {"probe-empty": "DeadKernelError: died"},
    )
    with pytest.raises(grading.GradingError, match="probe-empty was not graded, DeadKernelError: died"):
        grading._try_probes("1_words", marks, reasons)
    grading._try_probes("1_words", marks | {"probe-empty": {"coverage": 0}}, reasons)
    with pytest.raises(grading.GradingError, match=r"probe-empty has wrong points for .'coverage'"):
        grading._try_probes("1_words", marks | {"probe-empty": {"coverage": 2}}, reasons)


def test_what_cannot_be_graded_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["grade.py", "1_words", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit, match=r"error: .*nowhere"):
        grading.main()
    with pytest.raises(ValueError, match="no notebook in"):
        grading.handed_in(tmp_path)
    with pytest.raises(ValueError, match="no assignment '9_all'; there are 1_words"):
        grading.grade("9_all", {})
    (tmp_path / "ada").mkdir()
    for path in (tmp_path / "ada.ipynb", tmp_path / "ada" / "1_words.ipynb"):
        path.write_text("{}")
    with pytest.raises(ValueError, match="ada has handed in two notebooks"):
        grading.handed_in(tmp_path)


def test_the_bundle_holds_what_a_teacher_needs(tmp_path):
    make.write_bundle(tmp_path)
    names = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")}
    assert names == {
        "marking.md",
        *(f"{kind}/{name}.ipynb" for kind in ("student", "solution", "teacher") for name in NAMES),
    }
    marking = (tmp_path / "marking.md").read_text(encoding="utf-8")
    assert marking.count("Common mistake") == 4 + sum(len(exercises(name)) for name in NAMES)
    assert "| coverage | 2 | its tests |" in marking
    for kind in ("student", "solution"):
        assert not any("ommon mistake" in path.read_text(encoding="utf-8") for path in (tmp_path / kind).iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_the_marking_guide_names_as_many_mistakes_as_are_tried(name):
    for cell in source(name).cells:
        part = cell.metadata.get("nbgrader", {}).get("grade_id", "").removeprefix("test_")
        if part in exercises(name) and (scheme := make.SCHEME.search(cell.source)):
            tried = [mistake for mistake in MISTAKES[name] if mistake.startswith(f"{part}__")]
            assert scheme[1].startswith("# Common mistakes: ")
            assert len(scheme[1].split(";")) == len(tried), f"{part}: {tried}"


def test_nothing_of_a_solution_is_published():
    config = (ROOT / "_config.yml").read_text(encoding="utf-8")
    assert "assignments" in config.split("exclude_patterns:")[1].splitlines()[0]
