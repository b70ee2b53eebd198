"""The self-checks against tests/answers: two right answers pass, five usual mistakes and more get their hint."""

import copy
import importlib
import signal
import subprocess
import sys
import time
import types

import numpy as np
import pytest
import torch

from vsa_lite import checks

MODULES = checks.MODULES
ANSWERS = {name: importlib.import_module(f"answers.{name}") for name in MODULES}
CHECKS = {name: importlib.import_module(f"vsa_lite.checks.{name}") for name in MODULES}
ALL = [(module, check) for module in MODULES for check in ANSWERS[module].RIGHT]
EVERY = [(module, check) for module, check in ALL if module != "values"]  # that takes a function
RIGHT = [(module, check, which) for module, check in ALL for which in range(len(ANSWERS[module].RIGHT[check]))]
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


@torch.no_grad()
def ruin(part):
    """Change what can be changed, and say whether it could."""
    if isinstance(part, torch.Tensor):
        part.add_(1) if part.dtype != torch.bool else part.logical_not_()
    elif isinstance(part, torch.nn.Module):
        next(part.parameters()).add_(1)
    elif isinstance(part, types.SimpleNamespace):
        ruin(next(iter(vars(part).values())))
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
def test_every_argument_matters(module, check):
    """The right answer is not right any more where one argument stays as it was at the first call."""
    right = ANSWERS[module].RIGHT[check][0]

    def stuck(number, first):
        def answer(*given):
            first.append(given)
            kept = first[0][number]
            kept = kept if isinstance(kept, torch.Generator) else copy.deepcopy(kept)
            return right(*given[:number], kept, *given[number + 1 :])

        return answer

    number, of = 0, 1
    while number < of:
        first = []
        with pytest.raises(AssertionError):
            getattr(CHECKS[module], check)(stuck(number, first))
        number, of = number + 1, len(first[0])


def test_damage_inside_a_network_is_seen():
    def careless(layers, x, mask):
        found = ANSWERS["words"].brnn(layers, x, mask)
        layers["output"].weight *= 2
        return found

    with pytest.raises(AssertionError, match=r"changed what it was given \(argument 1\)"):
        CHECKS["words"].check_brnn(careless)


@pytest.mark.parametrize(("module", "check"), EVERY)
def test_an_assert_of_your_own_is_told_with_its_kind(module, check):
    def asserting(*given):
        assert given is None

    with pytest.raises(AssertionError, match="your function stops with AssertionError"):
        getattr(CHECKS[module], check)(asserting)


@pytest.mark.parametrize(("module", "check"), EVERY)
def test_what_torch_cannot_do_is_not_still_to_be_written(module, check, capsys):
    with pytest.raises(AssertionError, match="stops with NotImplementedError"):
        getattr(CHECKS[module], check)(lambda *given: torch.ones(2, dtype=torch.long).log_softmax(0))
    checks.attempt(lambda: torch.ones(2, dtype=torch.long).log_softmax(0))
    assert "not yet. It stops with NotImplementedError" in capsys.readouterr().out


@pytest.mark.parametrize("check", ANSWERS["values"].RIGHT)
def test_a_number_is_still_to_be_found(check, capsys):
    getattr(checks, check)(...)
    assert "still to be written" in capsys.readouterr().out


@pytest.mark.parametrize(("module", "check"), ALL)
def test_every_check_is_found_in_the_package(module, check):
    assert getattr(checks, check) is getattr(CHECKS[module], check)


def test_the_package_loads_no_check_before_it_is_asked_for():
    ask = "import sys, vsa_lite.checks; assert not any(name.startswith('vsa_lite.checks.') for name in sys.modules)"
    subprocess.run([sys.executable, "-c", ask], check=True)
    with pytest.raises(AttributeError, match="check_nothing"):
        _ = checks.check_nothing


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


def test_a_check_inside_an_attempt_leaves_its_bound(monkeypatch, capsys):
    def test_two():
        CHECKS["words"].check_encode(ANSWERS["words"].RIGHT["check_encode"][0])
        while True:
            pass

    monkeypatch.setattr(checks, "SECONDS", 1)
    checks.attempt(test_two)
    assert "two: not yet. It stops with TimeoutError" in capsys.readouterr().out


def test_many_slow_calls_are_bounded_together(monkeypatch):
    def slow(*given):
        time.sleep(0.1)
        return ANSWERS["words"].RIGHT["check_vocabulary"][0](*given)

    monkeypatch.setattr(checks, "SECONDS", 0.5)
    with pytest.raises(AssertionError, match="does not come to an end"):
        CHECKS["words"].check_vocabulary(slow)


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
