"""Checks of chapters 10 to 12: hand in your function; it is tried on random input against the package.

A check prints one line when the function is right, and raises AssertionError with a hint when it is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from types import SimpleNamespace

import nltk.translate.bleu_score  # noqa: F401  (`bleu` loads it when called; that is no time of yours)
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from vsa_lite.captioning.decoding import beam_search, greedy
from vsa_lite.captioning.regions import region_pairs
from vsa_lite.captioning.rnn import END, MultimodalRNN
from vsa_lite.checks import self_check
from vsa_lite.checks.comparing import trains
from vsa_lite.evaluation.captions import bleu


def _same(got: object, wanted: Tensor) -> bool:
    if not isinstance(got, Tensor) or got.shape != wanted.shape:
        return False
    return torch.allclose(got.detach().to(wanted.dtype), wanted, atol=1e-5, equal_nan=True)


def _shape(got: object, wanted: Tensor, what: str) -> None:
    assert isinstance(got, Tensor), f"{what} must be a tensor, got {type(got).__name__}"
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
    first, second = torch.tensor([[3, 1, 2], [2, 2, 0], [1, 0, 0]]), torch.tensor([[4, 1, 0, 0, 0], [2, 6, 3, 1, 5]])
    for tokens, start in ((first, 5), (second, 7)):
        mask = tokens > 0
        result = function(tokens, mask, start)
        _several(result, 3, "three things are wanted: read, guess, real")
        read, guess, real = result
        steps, wanted = pad(mask, (1, 0), value=True), pad(tokens, (0, 1), value=END)
        for name, part in (("read", read), ("guess", guess), ("real", real)):
            _shape(part, steps, name)
        assert (read[:, 0] == start).all(), "the first thing that is read is START, in every sentence"
        assert torch.equal(read[:, 1:][mask], tokens[mask]), "after START, read holds the sentence's own words"
        assert not _same(guess, read), "guess is one step ahead of read: what stands at t in guess is read at t + 1"
        ends = guess[torch.arange(len(tokens)), mask.sum(1)]
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
    for count, V, E, H in ((3, 8, 4, 4), (2, 6, 3, 5)):
        sizes = {"W_w": (V, E), "W_hx": (H, E), "W_hh": (H, H), "b_h": (H,)}
        m = SimpleNamespace(**{name: torch.randn(size, generator=generator) for name, size in sizes.items()})
        words = torch.randperm(V, generator=generator)[:count]
        past, picture = (torch.randn(count, H, generator=generator) for _ in range(2))
        past = past.relu()
        x, before = m.W_w[words] @ m.W_hx.T, past @ m.W_hh.T
        wanted = torch.relu(x + before + m.b_h + picture)
        got = function(m, words, past, picture)
        _shape(got, wanted, "h_t")
        if _same(got, wanted):
            continue
        turned = m.W_w[words] @ m.W_hx if E == H else x
        wrong = {
            "f is missing: the state is max(0, ...), so none of its numbers is below 0": x + before + m.b_h + picture,
            "f is ReLU here, not tanh": torch.tanh(x + before + m.b_h + picture),
            "the picture is missing: at t = 1 it is added to the rest": torch.relu(x + before + m.b_h),
            "the state before is missing: W_hh h_{t-1}": torch.relu(x + m.b_h + picture),
            "the bias b_h is missing": torch.relu(x + before + picture),
            "the word is missing: W_hx x_t, with x_t the row of W_w": torch.relu(before + m.b_h + picture),
            "a matrix is used the wrong way round: W_hx x of a column is x W_hx^T of a row": torch.relu(
                turned + past @ m.W_hh + m.b_h + picture
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

    def right(log_y: Tensor, guess: Tensor, real: Tensor) -> Tensor:
        return -log_y.gather(2, guess[..., None])[..., 0][real].mean()

    for lengths, V in (([4, 2, 1], 6), ([3, 5], 4)):
        real = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        log_y = torch.randn(*real.shape, V, generator=generator).log_softmax(2)
        guess = torch.randint(0, V, real.shape, generator=generator)
        picked = -log_y.gather(2, guess[..., None])[..., 0]
        wanted = right(log_y, guess, real)
        got = torch.as_tensor(function(log_y, guess, real))
        _shape(got, wanted, "the loss")
        if not _same(got, wanted):
            wrong = {
                "the sign: log y is below 0, and a loss is above": -wanted,
                "you took the mean over padding too: only real steps count": picked.mean(),
                "you took the sum: the mean over all real words is wanted": picked[real].sum(),
                "you divided by the number of sentences: divide by the number of real words": (
                    picked[real].sum() / len(real)
                ),
                "you took the mean of each sentence first: short ones then count too much": (
                    (picked * real).sum(1) / real.sum(1)
                ).mean(),
                "this is the perplexity: its logarithm is wanted": wanted.exp(),
                "this is in bits: the natural logarithm is wanted": wanted / math.log(2),
                "these are probabilities: the mean of their logarithms is wanted": -(-picked).exp()[real].mean(),
            }
            _explain(got, wrong, "compare with the equation: which words count, what is divided by what, and the sign")
        trains(function, right, (log_y, guess, real))
    print("right: the mean of a real word; its exponential is the perplexity")


@self_check
def check_temper(function: Callable) -> None:
    """Chapter 11: `function(log_probabilities, temperature)` gives the probabilities that are drawn from.

    Raises:
        AssertionError: with a hint, where it differs from what `sample` draws from.
    """
    generator = torch.Generator().manual_seed(2)
    for tau, rows, V in ((1.0, 3, 6), (0.5, 2, 9), (2.0, 4, 5)):
        log_y = torch.randn(rows, V, generator=generator).log_softmax(1)
        wanted = (log_y / tau).softmax(1)
        got = function(log_y, tau)
        got = torch.as_tensor(got) if isinstance(got, np.ndarray | list) else got
        _shape(got, wanted, "the probabilities")
        if not _same(got, wanted):
            wrong = {
                "these are logarithms still: probabilities are wanted, and they sum to 1": log_y / tau,
                "you multiplied by the temperature: a low one must make the sure surer": (log_y * tau).softmax(1),
                "you divided y, not log y": (log_y.exp() / tau).softmax(1),
                "these are powers of y still: as probabilities they must sum to 1": (log_y / tau).exp(),
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
            length = 3 if row % 3 == 2 else 8
            for size in (1, 3):
                wanted = greedy(model, one, length) if size == 1 else beam_search(model, one, size, length)
                with torch.no_grad():
                    result = function(model, one, size, length)
                _several(result, 2, "two things are wanted: the words and log P")
                words, total = list(result[0]), float(result[1])
                assert END not in words, "leave END out of the words that you return"
                assert len(words) <= length, f"at most max_length words: {length} here, yours has {len(words)}"
                assert total <= 1e-6, "log P is a sum of logarithms: it cannot be above 0"
                if words != wanted.tokens[0]:
                    assert size != 1, "with beam size 1 it must be greedy, exactly: the best word at every step"
                    if len(words) < len(wanted.tokens[0]) and total < float(wanted.log_probability[0]):
                        raise AssertionError(
                            "a shorter sentence than the best, and less probable: did you stop at the first finished "
                            "sentence? Better ones were under way"
                        )
                    raise AssertionError(
                        "another sentence than the package's: does a finished one stay in the beam, unchanged, and "
                        "does it compete with the others by its log P?"
                    )
                right = abs(total - float(wanted.log_probability[0])) < 1e-4
                assert right, "the right words, another log P: it is the sum over the words and over END"
    print("right: beam 1 is greedy, and beam 3 finds what the package finds")


LINES = (
    (
        ("a brown dog is on the sofa", ["a brown dog is lying on the sofa", "the dog is on a sofa now", "a dog"]),
        ("the the the", ["the cat is here", "a cat on the roof"]),
        ("a red ball in the grass", ["a small red ball in the grass", "one red ball under the old tree"]),
    ),
    (  # candidates that are longer than the references
        (
            "two dogs run and two dogs play on the wet sand",
            ["two dogs play on the wet sand", "two dogs run on a beach"],
        ),
        ("a red ball lies in the tall grass", ["a red ball lies in tall grass", "the ball is in the tall grass"]),
    ),
    (  # no three words in a row are right, and there are no four
        ("a dog sits", ["a dog runs", "the cat sits"]),
        ("a bus", ["a red bus", "the bus"]),
    ),
)


@self_check
def check_bleu(function: Callable) -> None:
    """Chapter 11: `function(candidates, references, n)` gives BLEU-n of the whole set, in percent.

    Raises:
        AssertionError: with a hint, where it differs from the package's `bleu`.
    """
    for lines in LINES:
        candidates = [line.split() for line, _ in lines]
        references = [[sentence.split() for sentence in people] for _, people in lines]
        wanted, penalty = bleu(candidates, references), _brevity(candidates, references)
        for n in (1, 2, 3, 4):
            got, right = float(function(candidates, references, n)), wanted[f"bleu_{n}"]
            if math.isclose(got, right, abs_tol=1e-6):
                continue
            each = [bleu([c], [r])[f"bleu_{n}"] for c, r in zip(candidates, references, strict=True)]
            shortest = [[min(people, key=len)] for people in references]
            for mistake, hint in (
                (right / 100, "this is on the scale 0 to 1: in percent, times 100"),
                (
                    right / penalty,
                    "the brevity penalty is missing, or too mild: these candidates are shorter than what people wrote "
                    "(of each candidate's references, the one nearest in length counts)",
                ),
                (
                    right / penalty * _brevity(candidates, shortest),
                    "the brevity penalty takes the shortest reference: the one nearest in length counts",
                ),
                (
                    right / penalty * _brevity(candidates, references, math.inf),
                    "longer candidates get no prize: the brevity penalty is at most 1",
                ),
                (
                    sum(each) / len(each),
                    "this is the mean of each sentence's BLEU: count matches and words over the whole set, then divide",
                ),
            ):
                assert not math.isclose(got, mistake, abs_tol=1e-6), hint
            assert n > 1 or got < right, (
                "too high: does 'the the the' count more than once? Each word counts as often as one reference has it"
            )
            raise AssertionError(f"BLEU-{n} should be {right:.4f}, got {got:.4f}: compare with the formula, by parts")
    print("right: counted over the whole set, clipped, and in percent")


def _brevity(candidates: list, references: list, most: float = 1) -> float:
    """The penalty: r counts the reference nearest in length, the shorter one among equals."""
    pairs = zip(candidates, references, strict=True)
    r = sum(min((abs(len(p) - len(c)), len(p)) for p in people)[1] for c, people in pairs)
    return min(most, math.exp(1 - r / sum(map(len, candidates))))


@self_check
def check_cut(function: Callable) -> None:
    """Chapter 12: `function(words, path, minimum)` cuts a sentence into [(region, [words]), ...].

    Raises:
        AssertionError: with a hint, where it differs from `region_pairs`.
    """

    def cut(words: list, path: list, minimum: int) -> list:
        tokens = torch.tensor([words])
        pairs = region_pairs(torch.tensor([0]), torch.tensor([path]), tokens, tokens > 0, minimum)
        return [(pair.region, list(pair.tokens)) for pair in pairs]

    def joined(words: list, path: list, minimum: int) -> list:
        found = [
            (region, [w for w, a in zip(words, path, strict=True) if a == region]) for region in dict.fromkeys(path)
        ]
        return [(region, run) for region, run in found if len(run) >= minimum]

    def without_last(words: list, path: list, minimum: int) -> list:
        runs = cut(words, path, 1)[:-1]
        return [(region, run) for region, run in runs if len(run) >= minimum]

    generator = torch.Generator().manual_seed(3)
    paths = [[0, 1, 1, 0, 2, 2, 2]]
    paths += [torch.randint(0, 3, (length,), generator=generator).tolist() for length in (5, 9, 12, 1)]
    for path, minimum in product(paths, (1, 2, 3)):
        words = list(range(1, len(path) + 1))
        got, wanted = function(words, path, minimum), cut(words, path, minimum)
        got = [(int(region), list(run)) for region, run in got]
        if got == wanted:
            continue
        for mistake, hint in (
            (without_last, "the last run is lost: it ends where the sentence ends"),
            (joined, "you joined runs of one region that are not neighbours: 'a dog ... a dog' are two snippets"),
            (lambda w, p, n: cut(w, p, 1), f"runs of fewer than {minimum} words are left out"),
            (lambda w, p, n: cut(w, p, n + 1), f"a run of exactly {minimum} words is kept"),
        ):
            assert not got or got != mistake(words, path, minimum), hint
        raise AssertionError(f"for the path {path} with minimum {minimum} the runs are {wanted}, got {got}")
    print("right: longest runs of one region, in the order of their words")
