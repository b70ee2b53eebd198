"""The quizzes: five questions for every chapter, one right answer each, a reason with every answer."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SPEC = importlib.util.spec_from_file_location("quiz", ROOT / "_ext" / "quiz.py")
quiz = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(quiz)

PAGE = (ROOT / "book" / "quizzes.md").read_text(encoding="utf-8")
PARTS = re.findall(r"^## (\d+) [^\n]+\n\n```\{quiz\}\n(.*?)\n```", PAGE, re.M | re.S)


def test_every_chapter_has_its_quiz():
    chapters = [int(path.name[:2]) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
    assert [int(number) for number, _ in PARTS] == chapters[1:]  # the tour has none


@pytest.mark.parametrize(("number", "body"), PARTS)
def test_five_questions_with_reasons(number, body):
    asked = quiz.questions(body.splitlines())
    assert len(asked) == 5
    assert len({question for question, _ in asked}) == 5
    for _, answers in asked:
        assert len(answers) >= 3
        assert all(len(reason.split()) >= 2 for *_, reason in answers)


def test_the_right_answer_is_not_always_at_the_same_place():
    places = [
        [right for right, *_ in answers].index(True)
        for _, body in PARTS
        for _, answers in quiz.questions(body.splitlines())
    ]
    assert all(places.count(place) > len(places) / 6 for place in range(3))


def test_what_it_says_of_product_quantisation_was_measured():
    assert "codes of product quantisation alone, 16 bytes a vector, a third of the true ten best are lost" in PAGE
    runs = json.loads((ROOT / "results" / "search.json").read_text(encoding="utf-8"))
    (found,) = [run["metrics"] for run in runs if run["what"] == "product quantisation, 16 bytes a region"]
    assert abs(found["recall_by_codes"] - 200 / 3) < 3
    assert found["recall_of_100"] > 99, "its best hundred nearly always hold the true ones"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("Why?\n+ so", "has its reason behind ' :: '"),
        ("Why?\n+ so :: a\n+ or so :: b", "one right answer"),
        ("Why?\n+ so :: a", "one right answer and wrong ones"),
    ],
)
def test_what_is_no_quiz_is_named(body, message):
    with pytest.raises(ValueError, match=message):
        quiz.questions(body.splitlines())


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb"))[1:], ids=lambda path: path.stem)
def test_the_last_exercise_is_research_like_as_the_teachers_page_says(path):
    assert 'it says "research-like"' in (ROOT / "book" / "teaching.md").read_text(encoding="utf-8")
    cells = ["".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    starts = [line for text in cells for line in text.splitlines() if re.match(r"\*\*\d+[ .]", line)]
    assert ["research-like" in line for line in starts] == [False] * (len(starts) - 1) + [True]
