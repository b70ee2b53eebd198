"""What self-checks and grading are worth: every stored answer, right and wrong, against each of them.

    python -m benchmarks.classroom                    # all of it, about ten minutes
    python -m benchmarks.classroom --only checks

Writes results/classroom.json. "checks" is the mutation table: a run for each self-check, how many right answers of
tests/answers it accepts, how many usual mistakes it rejects, and the longest time it took. "grading" has a run for each
assignment: the solution, the untouched notebook and one submission for each mistake of tests/mistakes, how many of them
get exactly the points that are due, and the seconds that a submission takes. tools/colab_contract.py --record adds how
long installing takes and two chapters run under Colab's versions.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import sys
import tempfile
import time
from pathlib import Path

from vsa_lite import checks
from vsa_lite.results import record_run

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results" / "classroom.json"


def passes(check, answer) -> tuple[bool, float]:
    """Whether a self-check accepts an answer, and the seconds that it takes."""
    started = time.perf_counter()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            check(answer)
    except AssertionError:
        return False, time.perf_counter() - started
    return True, time.perf_counter() - started


def check_table() -> None:
    """Every stored answer to every self-check."""
    sys.path.insert(0, str(ROOT / "tests"))
    for module in checks.MODULES:
        answers = importlib.import_module(f"answers.{module}")
        for name, right in answers.RIGHT.items():
            check, wrong = getattr(checks, name), [answer for other, answer, _ in answers.WRONG if other == name]
            passes(check, right[0])  # what it imports is not its time
            good, bad = ([passes(check, answer) for answer in some] for some in (right, wrong))
            metrics = {
                "right_answers": len(good),
                "right_accepted": sum(accepted for accepted, _ in good),
                "mistakes": len(bad),
                "mistakes_rejected": sum(not accepted for accepted, _ in bad),
                "longest_seconds": max(seconds for _, seconds in good + bad),
            }
            _record(f"{module}: {name}", metrics, sum(seconds for _, seconds in good + bad))


def grading_table() -> None:
    """Every stored mistake, handed in by itself."""
    sys.path.insert(0, str(ROOT / "tests"))
    handed_in = importlib.import_module("handed_in")
    grading = importlib.import_module("grade")
    for path in grading.SOURCES:
        name, mistakes = path.stem, handed_in.mistakes_in(path.stem)
        with tempfile.TemporaryDirectory() as folder:
            submissions = {mistake: Path(folder) / f"{mistake}.ipynb" for mistake in mistakes}
            for mistake, submission in submissions.items():
                submission.write_text(handed_in.with_mistakes(name, [mistake]), encoding="utf-8")
            started = time.perf_counter()
            marks = grading.grade(name, submissions)  # raises unless solution and untouched notebook get what is due
            seconds = time.perf_counter() - started
        of = marks.pop("of")
        exact = sum(marks[mistake] == of | {mistake.split("__")[0]: 0} for mistake in mistakes)
        metrics = {
            "submissions": len(mistakes) + 2,
            "graded_as_due": exact + 2,
            "seconds_a_submission": seconds / (len(mistakes) + 2),
        }
        _record(f"grading {name}", metrics, seconds)


def _record(what: str, metrics: dict, seconds: float) -> None:
    about = {"dataset": "generated", "split": "all", "backbone": "none", "regions": "none", "config": {}, "seed": 0}
    run = record_run(RESULTS, what=what, metrics=metrics, seconds=seconds, **about)
    print(what, run["metrics"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("checks", "grading"))
    arguments = parser.parse_args()
    if arguments.only != "grading":
        check_table()
    if arguments.only != "checks":
        grading_table()


if __name__ == "__main__":
    main()
