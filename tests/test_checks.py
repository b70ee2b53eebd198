"""The self-checks against tests/answers: two right answers pass, five usual mistakes and more get their hint."""

import copy
import importlib
import signal

import numpy as np
import pytest
import torch

from vsa_lite import checks

MODULES = ("words", "pictures", "alignment", "captions", "attention", "feedback", "photographs", "scale", "exercises")
ANSWERS = {name: importlib.import_module(f"answers.{name}") for name in MODULES}
CHECKS = {name: importlib.import_module(f"vsa_lite.checks.{name}") for name in MODULES}
EVERY = [(module, check) for module in MODULES for check in ANSWERS[module].RIGHT]
RIGHT = [(module, check, which) for module, check in EVERY for which in range(len(ANSWERS[module].RIGHT[check]))]
WRONG = [(module, *wrong) for module in MODULES for wrong in ANSWERS[module].WRONG]


@pytest.mark.parametrize(("module", "check", "which"), RIGHT)
def test_what_is_right_passes_and_is_told_so(module, check, which, capsys):
    getattr(CHECKS[module], check)(ANSWERS[module].RIGHT[check][which])
    assert "right" in capsys.readouterr().out


@pytest.mark.parametrize(("module", "check", "wrong", "hint"), WRONG)
def test_a_usual_mistake_gets_its_hint(module, check, wrong, hint, capsys):
    with pytest.raises(AssertionError) as raised:
        getattr(CHECKS[module], check)(wrong)
    assert hint in str(raised.value)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("module", "check"), EVERY)
def test_what_is_still_to_be_written_is_no_error(module, check, capsys):
    def unwritten(*_):
        raise NotImplementedError

    getattr(CHECKS[module], check)(unwritten)
    assert "still to be written" in capsys.readouterr().out


def ruin(part):
    """Change what can be changed, and say whether it could."""
    if isinstance(part, torch.Tensor) and not part.requires_grad:
        part.add_(1) if part.dtype != torch.bool else part.logical_not_()
    elif isinstance(part, np.ndarray):
        part += 1
    elif isinstance(part, list | dict):
        part.clear()
    else:
        return False
    return True


@pytest.mark.parametrize(("module", "check"), EVERY)
def test_whoever_changes_what_it_was_given_is_told_so(module, check, capsys):
    """The right answer is given by a function that afterwards ruins all that it was handed."""
    ruined = []

    def careless(*given):
        found = ANSWERS[module].RIGHT[check][0](*given)
        tracked = isinstance(found, torch.Tensor) and found.requires_grad
        found = found if tracked else copy.deepcopy(found)
        ruined.extend([ruin(part) for part in given])
        return found

    told = ""
    try:
        getattr(CHECKS[module], check)(careless)
    except AssertionError as hint:
        told = str(hint)
    assert ("has changed what it was given" in told) == any(ruined)


@pytest.mark.parametrize(("module", "check"), EVERY)
@pytest.mark.parametrize("answer", [None, 3, {"a": 1}, [object()], "abc", torch.zeros(2, 2, 2, 2), float("nan")])
def test_whatever_comes_back_gets_a_hint(module, check, answer):
    with pytest.raises(AssertionError) as hint:
        getattr(CHECKS[module], check)(lambda *given: answer)
    assert str(hint.value)


@pytest.mark.parametrize(("module", "check"), EVERY)
def test_what_stops_gets_a_hint(module, check):
    def broken(*given):
        return torch.zeros(2, 3) @ torch.zeros(2, 3)

    with pytest.raises(AssertionError, match=r"stops with RuntimeError: .*It was given "):
        getattr(CHECKS[module], check)(broken)


def test_what_does_not_end_is_stopped(monkeypatch, capsys):
    def endless(*given):
        while True:
            pass

    monkeypatch.setattr(checks, "SECONDS", 0.2)
    with pytest.raises(AssertionError, match="does not come to an end"):
        CHECKS["words"].check_encode(endless)
    checks.attempt(endless)
    assert "endless: not yet. It stops with TimeoutError" in capsys.readouterr().out
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_an_attempt_goes_on_after_any_error(capsys):
    def test_sum():
        return sum([None])

    checks.attempt(test_sum)
    assert "sum: not yet. It stops with TypeError" in capsys.readouterr().out


def test_a_check_wants_the_function_itself():
    with pytest.raises(AssertionError, match="the function itself"):
        CHECKS["words"].check_encode([1, 2])


@pytest.mark.parametrize("module", MODULES)
def test_every_check_is_tried_with_two_right_answers_and_five_mistakes(module):
    names = {name for name in vars(CHECKS[module]) if name.startswith("check_")}
    answers = ANSWERS[module]
    assert set(answers.RIGHT) == names
    assert all(len(right) >= 2 for right in answers.RIGHT.values())
    assert {
        name: sum(name == other for other, *_ in answers.WRONG)
        for name in names
        if sum(name == other for other, *_ in answers.WRONG) < 5
    } == {}
