"""Try your own words, vectors and recurrences against the package (chapters 1 to 3).

Each check takes a function that you wrote, calls it with made-up input and compares. It prints a line when all agrees
and raises AssertionError with a hint when not. Nothing is graded or sent anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from vsa_lite.checks import self_check
from vsa_lite.checks.comparing import trains
from vsa_lite.data import records
from vsa_lite.words import negative_sampling, vocabulary
from vsa_lite.words.brnn import BRNN
from vsa_lite.words.word2vec import WordVectors

WORDS = "a the kitten cat dog on under red ball tree sofa bus".split()


def _agree(right: bool, hint: str) -> None:
    if not right:
        raise AssertionError(hint)


def _sentences(rng: np.random.Generator, count: int = 30) -> list[list[str]]:
    """Sentences of 1 to 8 words, some of which occur much more often than others."""
    shares = 1 / np.arange(1, len(WORDS) + 1)
    return [[str(w) for w in rng.choice(WORDS, rng.integers(1, 9), p=shares / shares.sum())] for _ in range(count)]


def _tensor(value, shape: Sequence[int], name: str) -> Tensor:
    """What a function gave, as a tensor of numbers of this shape."""
    value = torch.as_tensor(value).detach()
    _agree(
        tuple(value.shape) == tuple(shape), f"{name} must give shape {tuple(shape)}, yours gives {tuple(value.shape)}"
    )
    return value.double()


@self_check
def check_tokenise(tokenise: Callable[[str], Sequence[str]]) -> None:
    """`tokenise(text)` of chapter 1: lower case, letters and digits only, split at white space."""
    for text, hint in {
        "A RED Ball": "capitals become small letters",
        "look, a dog!": "no comma and no exclamation mark is left, nor anything else that is no letter and no digit",
        "  two   dogs\n": "several spaces in a row are one gap, and no word is empty",
        "a dog\tand\na cat": "words stand apart by a tab or a new line, too",
        "kitten's ice-cream": "what is dropped leaves no gap: “kitten's” becomes “kittens”, “ice-cream” “icecream”",
        "a snake_case": "the underscore belongs to \\w, and is neither letter nor digit",
        "3 cafés": "digits stay, and so do letters with accents",
    }.items():
        yours = tokenise(text)
        _agree(not isinstance(yours, str), "wanted a list of words, yours is still one text: split it")
        right = records.tokenise(text)
        _agree(
            list(yours) == right,
            f"{text!r} should become {right}, yours is {list(yours)}. What this text tries: {hint}",
        )
    print("check_tokenise: right")


@self_check
def check_vocabulary(make_vocabulary: Callable[[list[list[str]], int], Sequence[str]]) -> None:
    """`make_vocabulary(sentences, minimum_count)` of chapter 1: "<end>", then the words, the most frequent first."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        sentences, minimum_count = _sentences(rng), int(rng.integers(2, 9))
        right = list(vocabulary.Vocabulary.from_sentences(sentences, minimum_count).words)
        yours = list(make_vocabulary(sentences, minimum_count))
        _agree(yours[:1] == ["<end>"], f"number 0 is the end of a sentence, “<end>”; yours begins with {yours[:1]}")
        _agree(len(set(yours)) == len(yours), "a word stands there twice: a vocabulary has each once")
        missing = [word for word in right if word not in yours]
        exact = [word for word in missing if sum(s.count(word) for s in sentences) == minimum_count]
        _agree(
            not exact, f"{exact} occurs exactly {minimum_count} times and is missing: *at least* that often, so `>=`"
        )
        _agree(not missing, f"{missing} occurs often enough and is missing: count over all sentences together")
        more = [word for word in yours if word not in right]
        _agree(not more, f"{more} occurs fewer than {minimum_count} times and should not be there")
        counts = [sum(s.count(word) for s in sentences) for word in yours[1:]]
        _agree(counts == sorted(counts, reverse=True), f"the most frequent come first; yours have the counts {counts}")
        _agree(
            yours == right,
            f"words of equal count stand in alphabetical order, or two people get two vocabularies: "
            f"wanted {right}, got {yours}",
        )
    print("check_vocabulary: right")


@self_check
def check_encode(encode: Callable[[list[str], dict[str, int]], Sequence[int]]) -> None:
    """`encode(tokens, index)` of chapter 1: numbers of the known words; the others are dropped."""
    texts = ("red ball", "a spaceship on the bus", "spaceship", "", "dog dog")
    for text, known in product(texts, (WORDS, WORDS[5::-1])):
        tokens, index = text.split(), {word: number for number, word in enumerate(["<end>", *known])}
        try:
            yours = list(encode(tokens, index))
        except AssertionError as error:
            missing = isinstance(error.__cause__, KeyError)
            _agree(not missing, f"{error.__cause__} is not in the vocabulary: drop it, do not look it up")
            raise
        right = [index[token] for token in tokens if token in index]
        _agree(0 not in yours, f"{tokens}: an unknown word is dropped; yours puts in number 0, which ends the sentence")
        _agree(len(yours) == len(right), f"{tokens}: {len(right)} words are known, yours has {len(yours)}")
        order = ": keep the order of the sentence" if sorted(yours) == sorted(right) else ""
        _agree(yours == right, f"{tokens} should become {right}, yours is {yours}{order}")
    print("check_encode: right")


@self_check
def check_one_hot(one_hot: Callable[[list[int], int], Tensor]) -> None:
    """`one_hot(numbers, size)` of chapter 1: a row for each word, with a single 1."""
    rng = np.random.default_rng(2)
    for length in (1, 5, 9):
        size = int(rng.integers(9, 15))  # at most 9 words, so that no shape is its own transpose
        numbers = [int(n) for n in rng.integers(0, size, length)]
        right = torch.zeros(length, size).double()
        right[range(length), numbers] = 1
        yours = one_hot(numbers, size)
        yours = torch.as_tensor(yours)
        turned = tuple(yours.shape) == (size, length) and length != size
        _agree(not turned, "yours has a column for each word; wanted is a row for each: (words, V)")
        yours = _tensor(yours, (length, size), "one_hot")
        once = bool((yours.sum(1) == 1).all())
        _agree(once, f"each row has exactly one 1; the sums of yours are {yours.sum(1).tolist()}")
        _agree(torch.equal(yours, right), f"row t is hot at number t of {numbers}; yours at {yours.argmax(1).tolist()}")
    print("check_one_hot: right")


@self_check
def check_negative_distribution(negative_distribution: Callable[[np.ndarray], np.ndarray]) -> None:
    """`negative_distribution(counts)` of chapter 2: counts to the power 3/4, as shares of their sum."""
    rng = np.random.default_rng(3)
    for _ in range(10):
        counts = rng.integers(0, 1000, rng.integers(4, 14))
        counts[:2] = 5000, 0
        right = torch.from_numpy(negative_sampling.negative_distribution(counts))
        yours = _tensor(negative_distribution(counts), right.shape, "negative_distribution")
        powers = torch.from_numpy(counts**0.75)
        _agree(not torch.allclose(yours, powers), "probabilities sum to 1: divide by the sum")
        shares = torch.from_numpy(counts / counts.sum())
        _agree(not torch.allclose(yours, shares), "these are the plain shares: the paper takes counts to the power 3/4")
        first = torch.from_numpy(shares.numpy() ** 0.75)
        _agree(not torch.allclose(yours, first), "the power comes first, then the division, or the sum is not 1")
        _agree(float(yours[1]) == 0, f"a word that never occurs is never drawn; yours gives it {float(yours[1]):.3g}")
        _agree(
            torch.allclose(yours, right, atol=1e-6),
            f"counts {counts.tolist()} give {_list(right)}, yours {_list(yours)}",
        )
    print("check_negative_distribution: right")


@self_check
def check_negative_sampling(loss: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """`negative_sampling(x, o, o_negatives, weights)` of chapter 2: the loss of some pairs, summed."""
    generator = torch.Generator().manual_seed(4)
    for pairs, negatives, size in ((2, 4, 3), (5, 3, 4), (3, 7, 6)):
        x, o, o_n = (torch.randn(n, size, generator=generator) for n in (pairs, pairs, negatives))
        weights = torch.rand(pairs, negatives, generator=generator)
        right = negative_sampling.negative_sampling(x, o, o_n, weights)[0].double()
        yours = loss(x, o, o_n, weights)
        _agree(
            torch.as_tensor(yours).ndim == 0, "the loss is one number: the sum over all pairs and all their negatives"
        )
        yours = _tensor(yours, (), "negative_sampling")
        true, false = (x * o).sum(1).double(), (x @ o_n.T).double()
        log = torch.nn.functional.logsigmoid
        for wrong, hint in (
            (-right, "the sign: a loss is minus the logarithm of a probability, and never negative"),
            (right / pairs, "that is the mean over pairs; wanted is the sum"),
            (
                -log(true).sum() - (weights * log(false)).sum(),
                "a negative's product should be small: log σ(-o·x), with a minus inside",
            ),
            (-log(true).sum() - log(-false).sum(), "each negative counts with its weight"),
            (-log(true).sum(), "the negatives are missing: without them all words become one"),
        ):
            _agree(not torch.allclose(yours, wrong, rtol=1e-4), hint)
        _agree(torch.allclose(yours, right, rtol=1e-4), f"wanted {float(right):.4f}, yours is {float(yours):.4f}")
        for number in range(3):  # all three kinds of vectors learn
            trains(loss, lambda *batch: negative_sampling.negative_sampling(*batch)[0], (x, o, o_n, weights), number)
    huge = loss(torch.full((1, 1), 50.0), torch.full((1, 1), -50.0), torch.ones(1, 1), torch.ones(1, 1))
    _agree(bool(torch.as_tensor(huge).isfinite()), "log(sigmoid(z)) is -inf for z far below 0: use logsigmoid")
    print("check_negative_sampling: right")


@self_check
def check_nearest(nearest: Callable[[int, Tensor, int], Sequence[int]]) -> None:
    """`nearest(number, vectors, count)` of chapter 2: numbers of the words most alike by the cosine, not the word."""
    generator = torch.Generator().manual_seed(5)
    for size, number, count in ((2, 3, 6), (5, 17, 1), (9, 0, 10)):
        vectors = torch.randn(20, size, generator=generator) * (0.1 + 3 * torch.rand(20, 1, generator=generator))
        all_words = WordVectors([str(n) for n in range(20)], vectors)
        products = vectors @ vectors[number]
        products[number] = -torch.inf
        distances = (vectors - vectors[number]).norm(dim=1)
        distances[number] = torch.inf
        yours = [int(n) for n in nearest(number, vectors, count)]
        _agree(number not in yours, "each word is most like itself; leave it out")
        _agree(len(yours) == count, f"{count} words were asked for, yours gives {len(yours)}")
        right = [int(word) for word, _ in all_words.nearest(str(number), count)]
        if yours != right:
            by_product = yours == products.topk(count).indices.tolist()
            _agree(not by_product, "that is the plain product, which favours long vectors: divide by both lengths")
            by_distance = yours == distances.topk(count, largest=False).indices.tolist()
            _agree(not by_distance, "that is the distance, which minds the lengths: take the cosine of the angle")
            _agree(set(yours) != set(right), f"the most alike comes first: wanted {right}, got {yours}")
        _agree(yours == right, f"wanted {right}, got {yours}")
    print("check_nearest: right")


@self_check
def check_recurrence(recur: Callable[[list[float], float], Sequence[float]]) -> None:
    """`recur(inputs, w)` of chapter 3: the states h_t = max(0, e_t + w h_{t-1}), from h_0 = 0."""
    rng = np.random.default_rng(6)
    for _ in range(10):
        e, w = [round(float(x), 2) for x in rng.normal(0.5, 1, 6)], round(float(rng.uniform(0.4, 1.2)), 2)
        h, right, first, open_end = 0.0, [], [], 0.0
        for x in e:
            h = max(0.0, x + w * h)
            right.append(h)
            open_end = x + w * open_end
            first.append(open_end)
        yours = recur(list(e), w)
        _agree(np.ndim(yours) > 0, f"wanted the state after every step, a list; yours is {yours!r}")
        _agree(np.ndim(yours) == 1, f"wanted a list with one number a step; yours has shape {tuple(np.shape(yours))}")
        yours = [float(x) for x in yours]
        _agree(
            len(yours) == len(e), f"one state for each of {len(e)} inputs, h_0 not among them; yours has {len(yours)}"
        )
        linear = np.allclose(yours, first) and not np.allclose(first, right)
        _agree(not linear, "a state is never negative: the ReLU, max(0, ...), is missing")
        _agree(np.allclose(yours, right), f"inputs {e}, w {w}: wanted {np.round(right, 3)}, yours {np.round(yours, 3)}")
    print("check_recurrence: right")


@self_check
@torch.no_grad()
def check_brnn(brnn: Callable[[dict[str, nn.Linear], Tensor, Tensor], Tensor]) -> None:
    """`brnn(layers, x, mask)` of chapter 3: s_t of every word, zeros where padded.

    `layers` are the maps "input", "forward", "backward" and "output"; x is (sentences, words, word size).
    """
    generator = torch.Generator().manual_seed(7)
    for sizes, lengths in (((4, 6, 5), (5,)), ((3, 4, 7), (3, 3)), ((4, 6, 5), (6, 1, 3))):
        right = BRNN(*sizes, generator=generator)
        for parameter in right.parameters():
            parameter.normal_(0, 0.5, generator=generator)  # biases too: with zeros, padding that speaks is not heard
        layers = {
            "input": right.input,
            "forward": right.forward_recurrent,
            "backward": right.backward_recurrent,
            "output": right.output,
        }
        words = max(lengths)
        mask = torch.arange(words) < torch.tensor(lengths)[:, None]
        x = torch.randn(len(lengths), words, sizes[0], generator=generator) * mask[..., None]
        s = right(x, mask)
        yours = _tensor(brnn(layers, x, mask), s.shape, "brnn").float()
        _agree(not (yours < 0).any(), "s_t is never negative: the last f is missing")
        for wrong, hint in _usual_brnns(layers, x, mask):
            alike = torch.allclose(yours[mask], wrong[mask], atol=1e-5) and not torch.allclose(wrong, s, atol=1e-5)
            _agree(not alike, hint)
        real = torch.allclose(yours[mask], s[mask], atol=1e-5)
        first = torch.allclose(yours[:, 0][mask.all(1)], s[:, 0][mask.all(1)], atol=1e-5)
        _agree(
            real,
            f"the vectors differ by up to {float((yours - s)[mask].abs().max()):.3f}" + " behind the first" * first,
        )
        _agree(not yours[~mask].any(), "s is zero where there is no word: multiply by the mask at the end")
    print("check_brnn: right")


def _usual_brnns(layers: dict[str, nn.Linear], x: Tensor, mask: Tensor):
    """What the usual mistakes give, and their hints."""

    def read(e, mask, recurrent):
        h, states = torch.zeros_like(e[:, 0]), []
        for t in range(e.shape[1]):
            h = torch.relu(e[:, t] + recurrent(h)) * mask[:, t, None]
            states.append(h)
        return torch.stack(states, 1)

    def finish(h):
        return torch.relu(layers["output"](h))

    real, e = torch.ones_like(mask), torch.relu(layers["input"](x))
    bare = layers["input"](x)
    ahead = read(e, mask, layers["forward"])
    turned = read(e.flip(1), mask.flip(1), layers["backward"])
    back = turned.flip(1)
    padded = read(e.flip(1), real, layers["backward"]).flip(1)
    yield (
        finish(ahead + padded),
        "the backward direction starts in the padding: keep its state at zero where no word is",
    )
    yield finish(ahead + turned), "the backward states come last word first: flip them back before you add"
    yield finish(ahead), "that is the forward direction alone; add the backward one"
    yield finish(back), "that is the backward direction alone; add the forward one"
    yield finish((ahead + back) / 2), "both directions are summed, not averaged"
    yield (
        finish(ahead + read(e.flip(1), mask.flip(1), layers["forward"]).flip(1)),
        "the backward direction has weights of its own: layers['backward']",
    )
    yield (
        finish(read(bare, mask, layers["forward"]) + read(bare.flip(1), mask.flip(1), layers["backward"]).flip(1)),
        "e_t has its own f: relu(W_e x_t + b_e)",
    )


def _list(values: Tensor) -> list[float]:
    return [round(value, 3) for value in values.tolist()]
