"""What chapters 1 to 3 build in their cells equals what the package has; their solutions compile."""

import ast
import math
import re
from collections import Counter
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_chapters import NOTEBOOKS, definitions, read
from torch import nn

from vsa_lite.data import records
from vsa_lite.words import negative_sampling as parts
from vsa_lite.words import word2vec
from vsa_lite.words.brnn import BRNN
from vsa_lite.words.vocabulary import END_WORD, Vocabulary

CHAPTERS = {path.stem[:2]: path for path in NOTEBOOKS}
ONE_HOT, WORD2VEC, RECURRENT = MINE = [CHAPTERS[number] for number in ("01", "02", "03")]
TOKENS = st.lists(st.lists(st.sampled_from("a the dog cat red ball tree on".split()), max_size=8), max_size=20)


@cache
def lift(path, *names):
    """Functions of a chapter with the modules and values that they use."""
    space = definitions(path, *names)
    space.update(re=re, np=np, torch=torch, nn=nn, math=math, Counter=Counter, END=END_WORD, SHARED=64)
    space.update(logsigmoid=torch.nn.functional.logsigmoid, normalize=torch.nn.functional.normalize)
    return space


@settings(deadline=None)
@given(st.text())
def test_tokenise_is_the_packages(text):
    assert lift(ONE_HOT, "tokenise")["tokenise"](text) == records.tokenise(text)


@settings(deadline=None)
@given(TOKENS, st.integers(1, 4))
def test_vocabulary_encode_and_decode_are_the_packages(sentences, minimum_count):
    chapter = lift(ONE_HOT, "make_vocabulary", "encode", "decode")
    words = chapter["make_vocabulary"](sentences, minimum_count)
    if max(Counter(token for tokens in sentences for token in tokens).values(), default=0) < minimum_count:
        assert words == (END_WORD,)  # the package names it as an error
        return
    vocabulary = Vocabulary.from_sentences(sentences, minimum_count)
    assert words == vocabulary.words
    index = {word: number for number, word in enumerate(words)}
    for tokens in sentences:
        numbers = chapter["encode"](tokens, index)
        assert numbers == vocabulary.encode(tokens)
        for row in (numbers, [*numbers, 0, 1]):
            assert chapter["decode"](row, words) == vocabulary.decode(row)


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), max_size=9), st.integers(7, 12))
def test_one_hot_is_torchs(numbers, size):
    right = torch.nn.functional.one_hot(torch.tensor(numbers, dtype=torch.long), size).float()
    assert torch.equal(lift(ONE_HOT, "one_hot")["one_hot"](numbers, size), right)


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=6), st.integers(1, 6), st.integers(0, 99))
def test_windows_and_both_ways_to_ask_are_the_packages(lengths, window, seed):
    sentence = np.repeat(np.arange(len(lengths)), lengths)
    words = np.random.default_rng(seed).integers(0, 9, len(sentence))
    chapter = lift(WORD2VEC, "windows", "skip_gram", "cbow")
    ours = chapter["windows"](sentence, window, np.random.default_rng(seed))
    theirs = parts.windows(sentence, window, np.random.default_rng(seed))
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    for name, architecture in (("skip_gram", "skip-gram"), ("cbow", "cbow")):
        ours = chapter[name](words, sentence, window, np.random.default_rng(seed))
        theirs = word2vec._pairs(words, sentence, window, architecture, np.random.default_rng(seed))
        assert all(np.array_equal(a, b.numpy()) for a, b in zip(ours, theirs, strict=True))


@settings(deadline=None)
@given(st.lists(st.integers(0, 5000), min_size=1, max_size=20).filter(any), st.floats(1e-4, 0.5))
def test_probabilities_are_the_packages(counts, threshold):
    chapter, counts = lift(WORD2VEC, "negative_distribution", "keep_probability"), np.array(counts)
    np.testing.assert_allclose(chapter["negative_distribution"](counts), parts.negative_distribution(counts))
    np.testing.assert_allclose(
        chapter["keep_probability"](counts, threshold), parts.keep_probability(counts, threshold)
    )


@pytest.mark.parametrize(("pairs", "negatives", "size"), [(1, 1, 1), (5, 3, 4), (64, 64, 7)])
def test_the_loss_and_its_derivative_are_the_packages(pairs, negatives, size):
    chapter, generator = lift(WORD2VEC, "negative_sampling", "gradient"), torch.Generator().manual_seed(pairs)
    x, o, o_n = (3 * torch.randn(n, size, generator=generator) for n in (pairs, pairs, negatives))
    weights = torch.rand(pairs, negatives, generator=generator)
    loss, (by_x, *_) = parts.negative_sampling(x, o, o_n, weights)
    torch.testing.assert_close(chapter["negative_sampling"](x, o, o_n, weights), loss)
    torch.testing.assert_close(chapter["gradient"](x, o, o_n, weights), by_x)


@pytest.mark.parametrize(("name", "architecture"), [("skip_gram", "skip-gram"), ("cbow", "cbow")])
@pytest.mark.parametrize("threshold", [None, 0.05])
def test_training_gives_the_packages_vectors(name, architecture, threshold):
    rng = np.random.default_rng(0)
    sentences = [[f"w{n}" for n in rng.zipf(1.6, rng.integers(2, 9)).clip(max=30)] for _ in range(300)]
    vocabulary = Vocabulary.from_sentences(sentences, 3)
    options = {"size": 6, "window": 3, "negatives": 4, "epochs": 2, "seed": 3}
    theirs = word2vec.train_word2vec(
        sentences, vocabulary, architecture=architecture, subsampling=threshold, progress=False, **options
    )
    chapter = lift(
        WORD2VEC, "train", "loss_of", "negative_sampling", "negative_distribution", "windows", "skip_gram", "cbow"
    )
    encoded = [numbers for tokens in sentences if len(numbers := vocabulary.encode(tokens)) > 1]
    words, sentence = np.concatenate(encoded), np.repeat(np.arange(len(encoded)), list(map(len, encoded)))
    counts = np.bincount(words, minlength=len(vocabulary))
    keep = parts.keep_probability(counts, threshold)
    stages, others, losses = chapter["train"](chapter[name], words, sentence, counts, keep, **options)
    torch.testing.assert_close(stages[-1], theirs.matrix(vocabulary), atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose(losses, [epoch["loss"] for epoch in theirs.history], rtol=1e-5)
    assert len(stages) == 3
    assert others.shape == stages[0].shape == (len(vocabulary), 6)


@pytest.mark.parametrize("size", [2, 5, 16])
def test_nearest_is_the_packages_and_the_plane_is_that_of_greatest_spread(size):
    chapter = lift(WORD2VEC, "nearest", "principal_plane")
    vectors = torch.randn(30, size, generator=torch.Generator().manual_seed(size)) * torch.linspace(1, 2, size)
    theirs = word2vec.WordVectors([str(n) for n in range(30)], vectors)
    for number in (0, 7, 29):
        assert [str(n) for n in chapter["nearest"](number, vectors, 4)] == [
            w for w, _ in theirs.nearest(str(number), 4)
        ]
    mean, plane = chapter["principal_plane"](vectors)
    torch.testing.assert_close(mean, vectors.mean(0))
    torch.testing.assert_close(plane @ plane.T, torch.eye(2), atol=1e-5, rtol=0)
    spread = torch.linalg.eigvalsh(torch.cov(vectors.T))[-2:].flip(0)
    torch.testing.assert_close(((vectors - mean) @ plane.T).var(0), spread)


def brnn_layers(brnn):
    names = {"input": "input", "forward": "forward_recurrent", "backward": "backward_recurrent", "output": "output"}
    return {name: getattr(brnn, theirs) for name, theirs in names.items()}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=6).filter(any), st.integers(0, 3), st.integers(0, 99))
def test_the_brnn_is_the_packages(lengths, extra, seed):
    generator = torch.Generator().manual_seed(seed)
    package = BRNN(4, 6, 5, generator=generator)
    for parameter in package.parameters():
        parameter.data.normal_(0, 0.5, generator=generator)
    chapter = lift(RECURRENT, "brnn", "both_ways", "read", "brnn_of_one", "make_batch")
    sentences = [list(range(1, n + 1)) for n in lengths]
    numbers, mask = chapter["make_batch"](sentences, max(lengths) + extra)
    assert [numbers[row][mask[row]].tolist() for row in range(len(lengths))] == sentences
    x = torch.randn(*mask.shape, 4, generator=generator)  # in the padding too
    theirs = package(x, mask)
    torch.testing.assert_close(chapter["brnn"](brnn_layers(package), x, mask), theirs)
    for row, length in enumerate(lengths):
        if length:
            one = chapter["brnn_of_one"](brnn_layers(package), x[row, :length])
            torch.testing.assert_close(one, theirs[row, :length])


def test_first_weights_are_as_the_package_draws_them():
    layers = lift(RECURRENT, "make_layers")["make_layers"](4, 6, 5, torch.Generator().manual_seed(0))
    shapes = {name: tuple(layer.weight.shape) for name, layer in brnn_layers(BRNN(4, 6, 5)).items()}
    assert {name: tuple(layer.weight.shape) for name, layer in layers.items()} == shapes
    for name, layer in layers.items():
        assert not layer.bias.any()
        if name in ("forward", "backward"):
            torch.testing.assert_close(layer.weight @ layer.weight.T, 0.25 * torch.eye(6), atol=1e-6, rtol=0)


@given(st.lists(st.floats(-3, 3), max_size=9), st.floats(0, 1.3))
def test_the_recurrence_of_numbers_is_a_brnns_forward_direction(inputs, w):
    chapter = lift(RECURRENT, "recur", "read")
    recurrent = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    recurrent.weight.data.fill_(w)
    e = torch.tensor(inputs, dtype=torch.float64).view(1, -1, 1)
    if inputs:
        states = chapter["read"](e, torch.ones(1, len(inputs), dtype=torch.bool), recurrent)
        np.testing.assert_allclose(chapter["recur"](inputs, w), states.detach().flatten(), atol=1e-9)


@pytest.mark.parametrize("path", MINE, ids=lambda path: path.stem)
def test_every_exercise_has_a_folded_solution(path):
    cells = read(path)["cells"]
    exercises = sum(len(re.findall(r"^\*\*\d\. ", "".join(cell["source"]), re.M)) for cell in cells)
    solutions = [c for c in cells if c["cell_type"] == "code" and "hide-cell" in c["metadata"].get("tags", [])]
    assert len(solutions) == exercises >= 3
    for cell in solutions:
        text = "".join(cell["source"])
        assert text.startswith("# One solution")
        ast.parse(text)
