"""Checks of chapters 10 to 12: hand in your function; it is tried on random input against the package.

A check prints one line when the function is right, and raises AssertionError with a hint when it is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import Tensor

from vsa_lite.captioning.decoding import beam_search, greedy
from vsa_lite.captioning.regions import region_pairs
from vsa_lite.captioning.rnn import END, MultimodalRNN
from vsa_lite.checks import self_check
from vsa_lite.evaluation.captions import bleu


def _same(got: object, wanted: Tensor) -> bool:
    if not isinstance(got, Tensor) or got.shape != wanted.shape:
        return False
    return torch.allclose(got.detach().to(wanted.dtype), wanted, atol=1e-5, equal_nan=True)


def _shape(got: object, wanted: Tensor, what: str) -> None:
    assert isinstance(got, Tensor), f"{what} must be a tensor, got {type(got).__name__}: is a return missing?"
    assert got.shape == wanted.shape, f"{what} must have shape {tuple(wanted.shape)}, got {tuple(got.shape)}"


def _several(result: object, count: int, hint: str) -> None:
    assert isinstance(result, tuple | list), hint
    assert len(result) == count, hint


def _explain(got: object, wrong: dict[str, object], otherwise: str) -> None:
    """Raise with the hint whose wrong answer equals what came, or with the last one."""
    for hint, value in wrong.items():
        fits = _same(got, value) if isinstance(value, Tensor) else got == value
        assert not fits, hint
    raise AssertionError(otherwise)


@self_check
def check_inputs_and_targets(function: Callable) -> None:
    """Chapter 10: `function(tokens, word_mask, start)` gives what is read, what is to be guessed, and what is real.

    Raises:
        AssertionError: with a hint, where it differs from the inputs and targets of `MultimodalRNN`.
    """
    tokens = torch.tensor([[3, 1, 2], [2, 2, 0], [1, 0, 0]])
    mask = tokens > 0
    result = function(tokens, mask, 5)
    _several(result, 3, "three things are wanted: read, guess, real")
    read, guess, real = result
    steps = torch.tensor([[True, True, True, True], [True, True, True, False], [True, True, False, False]])
    for name, part in (("read", read), ("guess", guess), ("real", real)):
        _shape(part, steps, name)
    assert (read[:, 0] == 5).all(), "the first thing that is read is START, in every sentence"
    assert torch.equal(read[:, 1:][steps[:, 1:]], tokens[mask]), "after START, read holds the sentence's own words"
    wanted = torch.tensor([[3, 1, 2, END], [2, 2, END, 0], [1, END, 0, 0]])
    assert not _same(guess, read), "guess is one step ahead of read: what stands at t in guess is read at t + 1"
    ends = guess[torch.arange(3), mask.sum(1)]
    assert (ends == END).all(), "behind its last word every sentence still has one thing to guess: END"
    assert torch.equal(guess[steps], wanted[steps]), "guess holds w_1 .. w_T and then END"
    if not torch.equal(real.bool(), steps):
        lost = mask.sum(), real.bool().sum()
        assert lost[0] != lost[1], "END is guessed too: a sentence of T words has T + 1 real steps, not T"
        raise AssertionError("real is True for the T + 1 steps of each sentence and False for padding")
    print("right: START is read first, END is guessed last, padding counts nowhere")


@self_check
def check_step(function: Callable) -> None:
    """Chapter 10: `function(m, words, past, picture)` gives h_t from weights m, as printed in the paper.

    Raises:
        AssertionError: with a hint, where it differs from the equation.
    """
    generator = torch.Generator().manual_seed(0)
    sizes = {"W_w": (8, 4), "W_hx": (4, 4), "W_hh": (4, 4), "b_h": (4,)}
    m = SimpleNamespace(**{name: torch.randn(size, generator=generator) for name, size in sizes.items()})
    words = torch.tensor([1, 7, 3])
    past, picture = torch.randn(3, 4, generator=generator).relu(), torch.randn(3, 4, generator=generator)
    x, before = m.W_w[words] @ m.W_hx.T, past @ m.W_hh.T
    wanted = torch.relu(x + before + m.b_h + picture)
    got = function(m, words, past, picture)
    _shape(got, wanted, "h_t")
    if not _same(got, wanted):
        wrong = {
            "f is missing: the state is max(0, ...), so none of its numbers is below 0": x + before + m.b_h + picture,
            "f is ReLU here, not tanh": torch.tanh(x + before + m.b_h + picture),
            "the picture is missing: at t = 1 it is added to the rest": torch.relu(x + before + m.b_h),
            "the state before is missing: W_hh h_{t-1}": torch.relu(x + m.b_h + picture),
            "the bias b_h is missing": torch.relu(x + before + picture),
            "the word is missing: W_hx x_t, with x_t the row of W_w": torch.relu(before + m.b_h + picture),
            "a matrix is used the wrong way round: rows of h times W.T": torch.relu(
                m.W_w[words] @ m.W_hx + past @ m.W_hh + m.b_h + picture
            ),
            "the picture is added inside f, not behind it": torch.relu(x + before + m.b_h) + picture,
        }
        _explain(got, wrong, "h_t = f(W_hx x_t + W_hh h_{t-1} + b_h + picture): compare term by term")
    print("right: one step, as printed")


@self_check
def check_cross_entropy(function: Callable) -> None:
    """Chapter 10: `function(log_y, guess, real)` gives the mean over real words of -log y_t(w_t).

    Raises:
        AssertionError: with a hint, where it differs from `caption_loss`.
    """
    generator = torch.Generator().manual_seed(1)
    log_y = torch.randn(3, 4, 6, generator=generator).log_softmax(2)
    guess = torch.randint(0, 6, (3, 4), generator=generator)
    real = torch.arange(4) < torch.tensor([4, 2, 1])[:, None]
    picked = -log_y.gather(2, guess[..., None])[..., 0]
    wanted = picked[real].mean()
    got = function(log_y, guess, real)
    got = torch.as_tensor(got)
    _shape(got, wanted, "the loss")
    if not _same(got, wanted):
        wrong = {
            "the sign: log y is below 0, and a loss is above": -wanted,
            "you took the mean over padding too: only real steps count": picked.mean(),
            "you took the sum: the mean over all real words is wanted": picked[real].sum(),
            "you divided by the number of sentences: divide by the number of real words": picked[real].sum() / 3,
            "you took the mean of each sentence first: short ones then count too much": (
                (picked * real).sum(1) / real.sum(1)
            ).mean(),
            "this is the perplexity: its logarithm is wanted": wanted.exp(),
            "this is in bits: the natural logarithm is wanted": wanted / math.log(2),
            "y must be its logarithm already: you took the log or softmax of the wrong thing": -log_y.exp()
            .gather(2, guess[..., None])[..., 0][real]
            .mean(),
        }
        _explain(got, wrong, "pick log y_t(w_t) for every real step, take the mean, turn the sign")
    print("right: the mean of a real word; its exponential is the perplexity")


@self_check
def check_temper(function: Callable) -> None:
    """Chapter 11: `function(log_probabilities, temperature)` gives the probabilities that are drawn from.

    Raises:
        AssertionError: with a hint, where it differs from what `sample` draws from.
    """
    log_y = torch.randn(3, 6, generator=torch.Generator().manual_seed(2)).log_softmax(1)
    for tau in (1.0, 0.5, 2.0):
        wanted = (log_y / tau).softmax(1)
        got = function(log_y, tau)
        _shape(got, wanted, "the probabilities")
        if not _same(got, wanted):
            wrong = {
                "these are logarithms still: probabilities are wanted, and they sum to 1": log_y / tau,
                "you multiplied by the temperature: a low one must make the sure surer": (log_y * tau).softmax(1),
                "you divided y, not log y": (log_y.exp() / tau).softmax(1),
                "they do not sum to 1: after y^(1/tau), divide by the sum": (log_y / tau).exp(),
                "the softmax runs over the words, the last axis": (log_y / tau).softmax(0),
                "the temperature is not used": log_y.softmax(1),
            }
            _explain(got, wrong, "not what is drawn from: compare with the equation of the chapter, step by step")
    print("right: 1 leaves them alone, below 1 is bolder, above 1 is flatter")


def lively_writer(words: int = 8, size: int = 5, seed: int = 0) -> tuple[MultimodalRNN, Tensor]:
    """A small untrained model with strong opinions, and twelve pictures: its sentences differ in words and length."""
    generator = torch.Generator().manual_seed(seed)
    model = MultimodalRNN(words, size, 16, generator=generator).eval()
    with torch.no_grad():
        model.output.weight.normal_(0, 1.5, generator=generator)
        model.image.weight.normal_(0, 1, generator=generator)
    return model, torch.randn(12, size, generator=generator)


@self_check
def check_beam(function: Callable) -> None:
    """Chapter 11: `function(model, features, beam_size, max_length)`, one picture [1, d], gives (words, log P).

    Raises:
        AssertionError: with a hint, where it differs from `greedy` for beam size 1, and from `beam_search` for others.
    """
    for seed in range(4):
        model, pictures = lively_writer(seed=seed)
        for row in range(len(pictures)):
            one = pictures[row : row + 1]
            for size in (1, 3):
                wanted = greedy(model, one, 8) if size == 1 else beam_search(model, one, size, 8)
                with torch.no_grad():
                    result = function(model, one, size, 8)
                _several(result, 2, "two things are wanted: the words and log P")
                words, total = list(result[0]), float(result[1])
                assert END not in words, "leave END out of the words that you return"
                assert total <= 1e-6, "log P is a sum of logarithms: it cannot be above 0"
                if words != wanted.tokens[0]:
                    assert size != 1, "with beam size 1 it must be greedy, exactly: the best word at every step"
                    if len(words) < len(wanted.tokens[0]) and total < float(wanted.log_probability[0]):
                        raise AssertionError("you stopped at the first finished sentence: better ones were under way")
                    raise AssertionError(
                        "another sentence than the package's: does a finished one stay in the beam, unchanged, and "
                        "does it compete with the others by its log P?"
                    )
                right = abs(total - float(wanted.log_probability[0])) < 1e-4
                assert right, "the right words, another log P: it is the sum over the words and over END"
    print("right: beam 1 is greedy, and beam 3 finds what the package finds")


@self_check
def check_bleu(function: Callable) -> None:
    """Chapter 11: `function(candidates, references, n)` gives BLEU-n of the whole set, in percent.

    Raises:
        AssertionError: with a hint, where it differs from the package's `bleu`.
    """
    lines = [
        ("a brown dog is on the sofa", ["a brown dog is lying on the sofa", "the dog is on a sofa now", "a dog"]),
        ("the the the", ["the cat is here", "a cat on the roof"]),
        ("a red ball in the grass", ["a small red ball in the grass", "one red ball under the old tree"]),
    ]
    candidates = [line.split() for line, _ in lines]
    references = [[sentence.split() for sentence in people] for _, people in lines]
    wanted = bleu(candidates, references)
    for n in (1, 2, 4):
        got, right = float(function(candidates, references, n)), wanted[f"bleu_{n}"]
        if math.isclose(got, right, abs_tol=1e-6):
            continue
        assert not math.isclose(100 * got, right, abs_tol=1e-4), "this is on the scale 0 to 1: in percent, times 100"
        unpunished = right / math.exp(1 - _closest(candidates, references) / sum(map(len, candidates)))
        assert not math.isclose(got, unpunished, abs_tol=1e-6), (
            "the brevity penalty is missing: these candidates are shorter than what people wrote (of each candidate's "
            "references, the one nearest in length counts)"
        )
        each = [bleu([c], [r])[f"bleu_{n}"] for c, r in zip(candidates, references, strict=True)]
        assert not math.isclose(got, sum(each) / len(each), abs_tol=1e-6), (
            "this is the mean of each sentence's BLEU: count matches and words over the whole set, then divide"
        )
        assert n > 1 or got < right, (
            "too high: does 'the the the' count more than once? Each word counts as often as one reference has it"
        )
        raise AssertionError(f"BLEU-{n} should be {right:.4f}, got {got:.4f}: compare with the formula, part by part")
    print("right: counted over the whole set, clipped, and in percent")


def _closest(candidates: list, references: list) -> int:
    """r of the brevity penalty: the lengths of the references nearest in length, the shorter one among equals."""
    pairs = zip(candidates, references, strict=True)
    return sum(min((abs(len(p) - len(c)), len(p)) for p in people)[1] for c, people in pairs)


@self_check
def check_cut(function: Callable) -> None:
    """Chapter 12: `function(words, path, minimum)` cuts a sentence into [(region, [words]), ...].

    Raises:
        AssertionError: with a hint, where it differs from `region_pairs`.
    """
    generator = torch.Generator().manual_seed(3)
    paths = [torch.tensor([[1, 1, 0, 2, 2, 0]])]
    paths += [torch.randint(0, 3, (1, length), generator=generator) for length in (5, 9, 12, 1)]
    for path in paths:
        words = torch.arange(1, path.shape[1] + 1)[None]
        for minimum in (1, 2, 3):
            pairs = region_pairs(torch.tensor([0]), path, words, words > 0, minimum)
            wanted = [(pair.region, list(pair.tokens)) for pair in pairs]
            got = function(words[0].tolist(), path[0].tolist(), minimum)
            got = [(int(region), list(run)) for region, run in got]
            if got == wanted:
                continue
            lost = len(got) > 0 and got == wanted[:-1]
            assert not lost, "the last run is lost: it ends where the sentence ends"
            everything = sum(len(run) for _, run in got) == words.shape[1]
            assert minimum > 1 or not everything or len(got) >= len(wanted), (
                "you joined runs of one region that are not neighbours: 'a dog ... a dog' are two snippets"
            )
            assert all(len(run) >= minimum for _, run in got), f"runs of fewer than {minimum} words are left out"
            longer = [(region, run) for region, run in wanted if len(run) > minimum]
            assert got != longer or not longer, f"too few pieces: a run of exactly {minimum} words is kept"
            raise AssertionError(f"for the path {path[0].tolist()} the runs are {wanted}, got {got}")
    print("right: longest runs of one region, in the order of their words")
