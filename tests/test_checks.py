"""The self-checks against tests/answers: two right answers pass, five usual mistakes and more get their hint."""

import copy
import importlib

import pytest
import torch

MODULES = ("words", "pictures", "alignment", "captions", "attention", "feedback", "photographs", "scale")
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


@pytest.mark.parametrize(("module", "check"), EVERY)
def test_what_a_function_does_to_its_input_harms_nothing(module, check, capsys):
    """The right answer is given by a function that afterwards ruins all that it was handed."""

    def careless(*given):
        found = ANSWERS[module].RIGHT[check][0](*given)
        if isinstance(found, torch.Tensor) and found.requires_grad:
            return found  # its gradient needs them
        found = found.clone() if isinstance(found, torch.Tensor) else copy.deepcopy(found)
        for part in given:
            if isinstance(part, torch.Tensor):
                part.detach().zero_()
        return found

    getattr(CHECKS[module], check)(careless)
    assert "right" in capsys.readouterr().out


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
