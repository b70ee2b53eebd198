"""Chapters 13 and 14: attention, regulariser, REINFORCE, the teacher's loss and the revision are the package's."""

from pathlib import Path

import pytest
import torch
from test_captioning_attention import make, some
from test_chapters import definitions

from vsa_lite.captioning.attention import Look

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"


def lift(*names, chapter="13_attention"):
    """Functions of a chapter; they find torch as in their page."""
    space = definitions(FOLDER / f"{chapter}.ipynb", *names)
    space["torch"] = torch
    return [space[name] for name in names]


def test_attention_is_the_packages():
    (attend,) = lift("attend")
    model, batch = make(gate=False), some()
    with torch.no_grad():
        model.query.bias.zero_()
        hidden = torch.randn(3, model.hidden_size, dtype=torch.float64)
        seen = model._see(batch.regions)
        (look,) = model.looks(hidden, seen)
        alpha, c = attend(hidden, seen.values, seen.mask, model.query.weight, model.key.weight, model.energy.weight[0])
    torch.testing.assert_close(alpha, look.alpha)
    torch.testing.assert_close(c, torch.stack([a @ v for a, v in zip(look.alpha, seen.values, strict=True)]))


def test_unevenness_is_the_packages():
    (unevenness,) = lift("unevenness")
    model, batch = make(doubly_weight=1.0), some()
    alpha = model.attention(batch.regions, batch.tokens, batch.word_mask)
    hidden, seen, sentences, steps = model._positions(batch.regions, batch.tokens, batch.word_mask)
    expected = model._unevenness(model.looks(hidden, seen)[-1].alpha, batch, sentences, steps)
    each = []
    for k in range(len(batch)):
        T, R = int(batch.word_mask[k].sum()), int(batch.region_mask[k].sum())
        each.append(unevenness(alpha[k, :T, :R], T / R))
    torch.testing.assert_close(torch.stack(each).mean(), expected)


@pytest.mark.parametrize("baseline", [0.0, -1.5])
def test_reinforce_has_the_packages_gradient(baseline):
    (reinforce,) = lift("reinforce")
    model = make(hard=True)
    model.baseline.fill_(baseline)
    model.eval()
    energies = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    chosen, reward = torch.tensor([0, 3, 1, 1, 2]), -torch.rand(5, dtype=torch.float64)
    counts = torch.nn.functional.one_hot(chosen, 4).double()
    ours = model._reinforce(Look(energies.log_softmax(1), counts, energies), reward)
    theirs = reinforce(energies.log_softmax(1), chosen, reward, model.baseline)
    torch.testing.assert_close(*(torch.autograd.grad(loss, energies)[0] for loss in (ours, theirs)))


def test_the_teachers_loss_is_the_packages():
    (teacher_loss,) = lift("teacher_loss", chapter="14_feedback")
    model, batch = make(teacher_weight=1.0), some()
    alpha = model.attention(batch.regions, batch.tokens, batch.word_mask)
    hidden, seen, sentences, steps = model._positions(batch.regions, batch.tokens, batch.word_mask)
    expected = model._taught(model.looks(hidden, seen)[-1].log_alpha, batch, sentences, steps)
    torch.testing.assert_close(teacher_loss(alpha, batch.attention, batch.attention_mask), expected)


def test_the_revision_is_the_packages():
    (revise,) = lift("revise", chapter="14_feedback")
    model, batch = make(revisions=1), some()
    seen = model._see(batch.regions)
    hidden = torch.randn(3, model.hidden_size, dtype=torch.float64)
    first, second = model.looks(hidden, seen)
    energies = model._energies(hidden, seen)
    words = model.embedding.weight[: model.vocabulary_size]
    revised = revise(energies, seen.values, first.logits.log_softmax(1), words, model.back.weight, model.gamma)
    torch.testing.assert_close(revised.softmax(1), second.alpha)
