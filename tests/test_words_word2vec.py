"""Word vectors: the training against a literal one, every file format there and back, and what bad files are told."""

import gzip
import pickle
import tracemalloc
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import logsigmoid

from vsa_lite.words import word2vec
from vsa_lite.words.negative_sampling import (
    Adagrad,
    keep_probability,
    negative_distribution,
    negative_sampling,
    windows,
)
from vsa_lite.words.vocabulary import Vocabulary
from vsa_lite.words.word2vec import WordVectors, load_word_vectors, save_word_vectors, train_word2vec

QUICK = {"size": 8, "epochs": 2, "batch_size": 32, "subsampling": None, "progress": False}
ANIMALS, COLOURS = ("cat", "dog", "cow", "pig"), ("red", "blue", "green", "pink")


def two_topics(count=300, seed=0):
    """Sentences about animals or about colours, never both."""
    rng = np.random.default_rng(seed)
    return [[str(word) for word in rng.choice((ANIMALS, COLOURS)[k % 2], 5)] for k in range(count)]


def vocabulary_of(sentences):
    return Vocabulary.from_sentences(sentences, 1)


# The parts


def test_the_loss_and_its_gradients_are_those_of_autograd():
    generator = torch.Generator().manual_seed(0)
    inputs, outputs, negatives = (torch.randn(n, 3, generator=generator, dtype=torch.float64) for n in (5, 5, 4))
    weights = torch.rand(5, 4, generator=generator, dtype=torch.float64)
    weights[1, 2] = 0
    tensors = [tensor.requires_grad_() for tensor in (inputs, outputs, negatives)]

    def literal(inputs, outputs, negatives):
        total = torch.zeros((), dtype=torch.float64)
        for p in range(5):
            total = total - logsigmoid(inputs[p] @ outputs[p])
            for n in range(4):
                total = total - weights[p, n] * logsigmoid(-inputs[p] @ negatives[n])
        return total

    expected = torch.autograd.grad(literal(*tensors), tensors)
    with torch.no_grad():
        loss, gradients = negative_sampling(*tensors, weights)
    torch.testing.assert_close(loss, literal(*tensors).detach())
    for found, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(found, wanted)
    for which, tensor in enumerate(tensors):  # and numerically
        step = torch.zeros_like(tensor)
        step[2, 1] = 1e-6
        with torch.no_grad():
            ends = [
                negative_sampling(*(t + sign * step if k == which else t for k, t in enumerate(tensors)), weights)[0]
                for sign in (1, -1)
            ]
        assert gradients[which][2, 1] == pytest.approx(float(ends[0] - ends[1]) / 2e-6, rel=1e-6)


def test_the_loss_of_huge_scores_is_finite():
    x = torch.tensor([[200.0]])
    loss, gradients = negative_sampling(x, -x, x, torch.ones(1, 1))
    assert loss == pytest.approx(2 * 200.0**2)
    assert all(gradient.isfinite().all() for gradient in gradients)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=20).filter(any))
def test_negatives_are_distributed_as_counts_to_the_three_quarters(counts):
    found = negative_distribution(np.array(counts))
    total = sum(n**0.75 for n in counts)
    np.testing.assert_allclose(found, [n**0.75 / total for n in counts])
    assert all(p == 0 for p, n in zip(found, counts, strict=True) if n == 0)


def test_frequent_words_are_kept_with_the_probability_of_the_paper():
    counts = np.array([0, 1, 99, 900])
    np.testing.assert_allclose(keep_probability(counts, 0.001), [1, 1, (0.001 / 0.099) ** 0.5, (0.001 / 0.9) ** 0.5])
    assert (keep_probability(counts, None) == 1).all()
    assert (keep_probability(counts, 1.0) == 1).all()


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=6), st.integers(1, 6), st.integers(0, 99))
def test_windows_equal_a_literal_walk(lengths, window, seed):
    sentence = np.repeat(np.arange(len(lengths)), lengths)
    positions, mask = windows(sentence, window, np.random.default_rng(seed))
    assert positions.shape == mask.shape == (len(sentence), 2 * window)
    reach = np.random.default_rng(seed).integers(1, window + 1, len(sentence))
    for t in range(len(sentence)):
        expected = [
            u
            for u in range(len(sentence))
            if u != t and abs(u - t) <= reach[t] and sentence[u] == sentence[t]
        ]  # fmt: skip
        assert positions[t][mask[t]].tolist() == expected


def test_a_neighbour_at_distance_d_counts_in_a_share_of_windows_that_falls_in_a_line():
    positions, mask = windows(np.zeros(50_000, dtype=int), 5, np.random.default_rng(1))
    distance = np.abs(positions - np.arange(50_000)[:, None])
    for d in range(1, 6):
        assert (mask & (distance == d)).sum() / 100_000 == pytest.approx((6 - d) / 5, abs=0.01)


def test_adagrad_by_rows_is_adagrad_of_the_whole_matrix():
    generator = torch.Generator().manual_seed(2)
    start = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    table, whole = Adagrad(start.clone()), start.clone().requires_grad_()
    optimiser = torch.optim.Adagrad([whole], lr=0.3)
    for _ in range(20):
        words = torch.randint(0, 7, (12,), generator=generator)  # words stand there twice, 7 and 8 never do
        gradients = torch.randn(12, 4, generator=generator, dtype=torch.float64)
        whole.grad = torch.zeros_like(start).index_add_(0, words, gradients)
        optimiser.step()
        table.step(words, gradients, 0.3)
    torch.testing.assert_close(table.vectors, whole.detach())
    assert torch.equal(table.vectors[7:], start[7:])


# The training


def literal_training(sentences, vocabulary, architecture, size, window, k, threshold, epochs, rate, batch, seed):
    """Word by word and pair by pair, with autograd and torch's Adagrad, from the same random numbers."""
    rng, V = np.random.default_rng(seed), len(vocabulary)
    encoded = [indices for indices in map(vocabulary.encode, sentences) if len(indices) > 1]
    words = [(index, number) for number, indices in enumerate(encoded) for index in indices]
    counts = Counter(index for index, _ in words)
    share = {index: n / len(words) for index, n in counts.items()}
    p = np.array([counts[index] ** 0.75 for index in range(V)])
    W = torch.from_numpy(rng.uniform(-0.5 / size, 0.5 / size, (V, size)).astype(np.float32)).requires_grad_()
    O = torch.zeros(V, size).requires_grad_()  # noqa: E741
    optimiser, losses = torch.optim.Adagrad([W, O]), []
    for epoch in range(epochs):
        draws = rng.random(len(words))
        kept = [w for w, u in zip(words, draws, strict=True) if u < min(1, (threshold / share[w[0]]) ** 0.5)]
        reach = rng.integers(1, window + 1, len(kept))
        items = []  # the words that predict, and the word that is predicted
        for t, (word, number) in enumerate(kept):
            near = [
                kept[u][0]
                for u in range(t - reach[t], t + reach[t] + 1)
                if u != t and 0 <= u < len(kept) and kept[u][1] == number
            ]
            items += [(near, word)] if architecture == "cbow" and near else []
            items += [([word], other) for other in near] if architecture == "skip-gram" else []
        order, total = rng.permutation(len(items)), 0.0
        for first in range(0, len(items), batch):
            negatives = rng.choice(V, 64, p=p / p.sum()).tolist()
            loss = torch.zeros(())
            for index in order[first : first + batch]:
                given, target = items[index]
                x = W[given].mean(0)
                loss = loss - logsigmoid(x @ O[target])
                for n in negatives:
                    loss = loss - (k / 64) * logsigmoid(-x @ O[n]) * (n != target)
            optimiser.param_groups[0]["lr"] = rate * (1 - 0.99 * (epoch + first / len(items)) / epochs)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            total += float(loss.detach())
        losses.append(total / len(items))
    return W.detach(), losses


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
def test_training_equals_a_literal_one(architecture):
    sentences = [*two_topics(12, seed=3), ["alone"], ["dog", "unknown"]]
    vocabulary = Vocabulary((*ANIMALS, *COLOURS, "alone"), [14] + [9] * 9)
    expected, losses = literal_training(sentences, vocabulary, architecture, 6, 3, 4, 0.08, 2, 0.2, 30, 5)
    found = train_word2vec(
        sentences, vocabulary, architecture=architecture, size=6, window=3, negatives=4, subsampling=0.08, epochs=2,
        learning_rate=0.2, batch_size=30, seed=5, progress=False,
    )  # fmt: skip
    matrix = found.matrix(vocabulary)
    assert (matrix[[0, vocabulary.index("alone")]] == 0).all()  # the end, and a word without a neighbour
    torch.testing.assert_close(matrix[1:-1], expected[1:-1], atol=1e-5, rtol=1e-4)
    assert [epoch["loss"] for epoch in found.history] == pytest.approx(losses, rel=1e-5)


@pytest.mark.parametrize("architecture", ["skip-gram", "cbow"])
@pytest.mark.parametrize("seed", [0, 1])
def test_two_topics_come_apart(architecture, seed):
    sentences = two_topics()
    options = QUICK | {"epochs": 5, "size": 20}
    vectors = train_word2vec(sentences, vocabulary_of(sentences), architecture=architecture, seed=seed, **options)
    for topic in (ANIMALS, COLOURS):
        for word in topic:
            nearest = vectors.nearest(word, 7)
            assert {near for near, _ in nearest[:3]} == {*topic} - {word}
            assert nearest[2][1] > 0.5 + nearest[3][1]
    assert vectors.history[-1]["loss"] < vectors.history[0]["loss"] - 0.05


def test_colours_of_the_scenes_find_one_another():
    from vsa_lite.data.scenes import make_scenes

    sentences = [sentence.tokens for record in make_scenes(300, 0, 0) for sentence in record.sentences]
    vectors = train_word2vec(
        sentences, vocabulary_of(sentences), **QUICK | {"size": 50, "epochs": 5, "batch_size": 1024}
    )
    colours = {"red", "blue", "green", "yellow", "pink", "purple", "white", "black", "orange", "brown"}
    known = sorted(colours & set(vectors.words))
    near = [word for colour in known for word, _ in vectors.nearest(colour, 2)]
    assert len(known) >= 6
    assert sum(word in colours for word in near) > 0.6 * len(near)  # by chance 5 in 100


def test_the_same_seed_gives_exactly_the_same_and_leaves_other_random_numbers_alone():
    sentences = two_topics(60)
    vocabulary, state, numpys = vocabulary_of(sentences), torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    one, same, other = (train_word2vec(sentences, vocabulary, seed=seed, **QUICK) for seed in (3, 3, 4))
    assert torch.equal(one.vectors, same.vectors)
    assert [e["loss"] for e in one.history] == [e["loss"] for e in same.history]
    assert not torch.equal(one.vectors, other.vectors)
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == numpys).all()  # noqa: NPY002


def test_negatives_are_drawn_as_they_should_be_and_the_true_word_is_none(monkeypatch):
    drawn, weights_seen = [], []
    step, loss = Adagrad.step, word2vec.negative_sampling

    def watched(self, words, gradients, rate):
        drawn.append(words)
        step(self, words, gradients, rate)

    def noted(inputs, outputs, negatives, weights):
        weights_seen.append(weights)
        return loss(inputs, outputs, negatives, weights)

    monkeypatch.setattr(Adagrad, "step", watched)
    monkeypatch.setattr(word2vec, "negative_sampling", noted)
    sentences = [["a", "b", "a", "a"], ["a", "c", "a", "b"]] * 200
    vocabulary = Vocabulary(("a", "b", "c", "never"), [0] * 5)
    train_word2vec(sentences, vocabulary, negatives=7, **QUICK)
    batches = drawn[1::2]  # of the outputs: the true words, then 64 negatives
    negatives = torch.stack([words[-64:] for words in batches])
    found = torch.bincount(negatives.flatten(), minlength=5).double() / negatives.numel()
    expected = torch.from_numpy(negative_distribution(np.array([0, 1000, 400, 200, 0])))
    deviation = (expected * (1 - expected) / negatives.numel()).sqrt()
    assert ((found - expected).abs() <= 5 * deviation).all()
    for words, weights in zip(batches, weights_seen, strict=True):
        torch.testing.assert_close(weights, (words[:-64, None] != words[-64:]) * (7 / 64))


def test_subsampling_drops_as_many_pairs_as_it_should():
    sentences = [["often", "rare"], ["often", "often"], ["often", "often"]] * 8000
    vocabulary = vocabulary_of(sentences)
    options = QUICK | {"subsampling": 0.05, "epochs": 1, "size": 2, "batch_size": 1024}
    vectors = train_word2vec(sentences, vocabulary, **options)
    rare, often = (0.05 / (1 / 6)) ** 0.5, (0.05 / (5 / 6)) ** 0.5
    expected = 2 * 8000 * (rare * often + 2 * often * often)
    assert vectors.history[0]["pairs"] == pytest.approx(expected, rel=0.08)  # five standard deviations


def test_the_first_loss_is_that_of_vectors_that_know_nothing():
    sentences = [[f"w{n}" for n in np.random.default_rng(k).choice(100, 10)] for k in range(50)]
    vectors = train_word2vec(sentences, vocabulary_of(sentences), negatives=5, learning_rate=1e-9, **QUICK)
    assert vectors.history[0]["loss"] == pytest.approx(6 * np.log(2), rel=0.02)


def test_long_texts_are_learnt_in_chunks(monkeypatch):
    sentences = two_topics(100)
    vocabulary = vocabulary_of(sentences)
    whole = train_word2vec(sentences, vocabulary, window=1, **QUICK)
    monkeypatch.setattr(word2vec, "CHUNK", 50)  # ten sentences each
    parts = train_word2vec(sentences, vocabulary, window=1, **QUICK)
    assert parts.history[0]["pairs"] == whole.history[0]["pairs"] == 100 * 8
    assert not torch.equal(parts.vectors, whole.vectors)


def test_unknown_words_are_dropped_before_windows_are_made():
    sentences = [["a", "unknown", "b"], ["c", "unknown"]] * 20
    vectors = train_word2vec(sentences, Vocabulary(("a", "b", "c"), [0] * 4), **QUICK | {"window": 1})
    assert vectors.words == ("a", "b")  # "c" has no neighbour left
    assert vectors.history[0]["pairs"] == 40


def test_progress_and_loss_are_shown_where_asked_for(capsys):
    sentences = two_topics(20)
    for progress in (True, False):
        train_word2vec(sentences, vocabulary_of(sentences), **QUICK | {"progress": progress})
        captured = capsys.readouterr()
        assert captured.out == ""
        assert ("epoch=2/2, loss=" in captured.err and "100%" in captured.err) == progress
    assert captured.err == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"window": 0}, "window must be at least 1, got 0"),
        ({"negatives": 0}, "negatives must be at least 1, got 0"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": -3}, "batch_size must be at least 1, got -3"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0 and finite, got 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be above 0 and finite, got nan"),
        ({"subsampling": 0.0}, "subsampling must be above 0, or None to keep all words, got 0.0"),
        ({"architecture": "glove"}, "architecture must be 'skip-gram' or 'cbow', got 'glove'"),
        ({"subsampling": 1e-30}, "subsampling 1e-30 leaves no two words side by side"),
    ],
)
def test_bad_settings_are_named(options, message):
    sentences = two_topics(4)
    with pytest.raises(ValueError, match=message):
        train_word2vec(sentences, vocabulary_of(sentences), **QUICK | options)


@pytest.mark.parametrize("sentences", [[], [[]], [["dog"], ["cat"]], [["unknown", "words"]], [["dog", "unknown"]]])
def test_sentences_without_two_known_words_are_nothing_to_learn_from(sentences):
    with pytest.raises(ValueError, match="no sentence has two words that the vocabulary knows"):
        train_word2vec(sentences, Vocabulary(("dog", "cat"), [1] * 3), **QUICK)


def test_a_text_in_place_of_words_and_a_loss_that_runs_away_are_named():
    with pytest.raises(ValueError, match="got the text 'dog cat': tokenise it first"):
        train_word2vec(["dog cat"], Vocabulary(("dog", "cat"), [1] * 3), **QUICK)
    sentences = two_topics(20)
    with pytest.raises(FloatingPointError, match=r"lower learning_rate \(1e\+30\)"):
        train_word2vec(sentences, vocabulary_of(sentences), **QUICK | {"learning_rate": 1e30})


# The vectors


def example(count=30, size=7, seed=0):
    rng = np.random.default_rng(seed)
    return WordVectors([f"w{n}" for n in range(count)], rng.normal(size=(count, size)).astype(np.float32))


def test_nearest_are_those_of_the_highest_cosine():
    vectors = example()
    x = vectors.vectors.double().numpy()
    cosines = {
        word: x[3] @ x[n] / np.sqrt((x[3] @ x[3]) * (x[n] @ x[n])) for n, word in enumerate(vectors.words) if n != 3
    }
    expected = sorted(cosines.items(), key=lambda item: -item[1])
    found = vectors.nearest("w3", 29)
    assert [word for word, _ in found] == [word for word, _ in expected]
    assert [cosine for _, cosine in found] == pytest.approx([cosine for _, cosine in expected], abs=1e-6)
    assert vectors.nearest("w3", 4) == found[:4]
    assert vectors.nearest("w3", 500) == found  # no more than there are


def test_equals_come_in_order_and_a_vector_of_zeros_is_near_nothing():
    vectors = WordVectors(("a", "b", "c", "zero"), np.array([[1.0, 0], [1, 0], [2, 0], [0, 0]]))
    assert vectors.nearest("a") == [("b", 1.0), ("c", 1.0), ("zero", 0.0)]
    assert vectors.nearest("zero", 1) == [("a", 0.0)]


def test_an_analogy_completes_the_parallelogram():
    vectors = WordVectors(
        ("man", "men", "dog", "dogs", "tree"),
        np.array([[1, 0, 0], [1, 0, 1], [0, 3, 0], [0, 2, 2], [0, 1, -1]], dtype=np.float32),
    )
    assert vectors.analogy("man", "men", "dog", 1)[0][0] == "dogs"
    assert [word for word, _ in vectors.analogy("man", "men", "dog")] == ["dogs", "tree"]


def test_the_matrix_has_a_row_for_every_word_and_zeros_for_unknown_ones():
    vectors = WordVectors(("dog", "<end>", "cat"), np.arange(1, 10, dtype=np.float64).reshape(3, 3))
    matrix = vectors.matrix(Vocabulary(("cat", "bird", "dog"), [1] * 4))
    assert matrix.dtype == torch.float32
    assert matrix.tolist() == [[0, 0, 0], [7, 8, 9], [0, 0, 0], [1, 2, 3]]
    with pytest.raises(ValueError, match=r"none of the vocabulary's 1 words has a vector; .* dog, <end>, cat"):
        vectors.matrix(Vocabulary(("bird",), [1] * 2))


def test_the_matrix_is_what_the_alignment_starts_from():
    from vsa_lite.alignment.model import AlignmentConfig, AlignmentModel

    sentences = two_topics(20)
    vocabulary = Vocabulary((*ANIMALS, *COLOURS, "zebra"), [20] + [1] * 9)
    vectors = train_word2vec(sentences, vocabulary, **QUICK)
    model = AlignmentModel(AlignmentConfig(len(vocabulary), 5, 4, 4, word_size=8))
    before = model.word_vectors.weight.clone()
    model.set_word_vectors(vectors.matrix(vocabulary))
    after = model.word_vectors.weight
    assert torch.equal(after[[0, 9]], before[[0, 9]])
    torch.testing.assert_close(
        torch.cosine_similarity(after[1:9], vectors.matrix(vocabulary)[1:9]), torch.ones(8), atol=1e-5, rtol=0
    )


def test_it_knows_its_words_and_shows_itself():
    vectors = example(1234, 2)
    assert (len(vectors), vectors.size, "w7" in vectors, "x" in vectors) == (1234, 2, True, False)
    assert torch.equal(vectors["w7"], vectors.vectors[7])
    assert "1,234 words of size 2: w0, w1" in repr(vectors)


@pytest.mark.parametrize(
    ("words", "vectors", "message"),
    [
        (["a", "a"], np.ones((2, 3)), "'a' stands there twice"),
        (["a"], np.ones((2, 3)), r"one row for each of 1 words, at least one of each; got shape \(2, 3\)"),
        (["a"], np.ones((1, 0)), r"got shape \(1, 0\)"),
        ([], np.ones((0, 3)), r"each of 0 words, at least one of each; got shape \(0, 3\)"),
        (["a", "b"], np.array([[1.0], [np.nan]]), "the vector of 'b' is not finite"),
    ],
)
def test_bad_vectors_are_named(words, vectors, message):
    with pytest.raises(ValueError, match=message):
        WordVectors(words, vectors)


def test_unknown_words_and_counts_are_named():
    vectors = example(3)
    for ask in (
        lambda: vectors["x"],
        lambda: vectors.nearest("x"),
        lambda: vectors.analogy("w0", "x", "w1"),
    ):
        with pytest.raises(KeyError, match="'x' is not among the 3 words that have a vector"):
            ask()
    with pytest.raises(ValueError, match="count must be at least 1, got 0"):
        vectors.nearest("w0", 0)


# The files


def text(vectors, header=True, separator=" ", end="\n"):
    lines = [f"{len(vectors)}{separator}{vectors.size}"] if header else []
    lines += [
        separator.join([word, *(repr(float(number)) for number in vector)])
        for word, vector in zip(vectors.words, vectors.vectors, strict=True)
    ]
    return "".join(line + end for line in lines).encode()


def binary(vectors, end=b"\n"):
    body = b"".join(
        word.encode() + b" " + vector.numpy().astype("<f4").tobytes() + end
        for word, vector in zip(vectors.words, vectors.vectors, strict=True)
    )
    return f"{len(vectors)} {vectors.size}\n".encode() + body


FORMATS = {
    "word2vec": text,
    "word2vec-space-at-the-end": lambda v: text(v, end=" \n"),
    "windows": lambda v: text(v, end="\r\n"),
    "tabs": lambda v: text(v, separator="\t"),
    "glove": lambda v: text(v, header=False),
    "glove-no-last-line-end": lambda v: text(v, header=False).rstrip(b"\n"),
    "binary": binary,
    "binary-without-line-ends": lambda v: binary(v, b""),
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_told_by_its_content(tmp_path, name, zipped):
    vectors = WordVectors(("5", "dog", "é狗", "1.5", "a\u00a0b", "."), example(6, 9).vectors)
    content = FORMATS[name](vectors)
    path = tmp_path / "vectors"
    path.write_bytes(gzip.compress(content) if zipped else content)
    found = load_word_vectors(path)
    assert found.words == vectors.words
    assert torch.equal(found.vectors, vectors.vectors)
    some = load_word_vectors(path, Vocabulary(("dog", "never", "."), [1] * 4))
    assert some.words == ("dog", ".")
    assert torch.equal(some.vectors, vectors.vectors[[1, 5]])


def test_a_binary_file_without_a_telltale_byte_is_told_by_its_name(tmp_path):
    content = b"1 2\ndog " + np.frombuffer(b"abcdefgh", "<f4").tobytes()
    for name in ("vectors.bin", "vectors.bin.gz"):
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        assert load_word_vectors(tmp_path / name)["dog"].numpy().tobytes() == b"abcdefgh"


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3), min_size=1),
    st.sampled_from(["v.txt", "v.txt.gz"]),
)
def test_what_was_saved_comes_back_exactly(tmp_path_factory, rows, name):
    path = tmp_path_factory.mktemp("saved") / "new" / name
    vectors = WordVectors([f"w{n}" for n in range(len(rows))], np.array(rows, dtype=np.float32))
    save_word_vectors(path, vectors)
    found = load_word_vectors(str(path))
    assert found.words == vectors.words
    assert torch.equal(found.vectors, vectors.vectors)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == name.endswith(".gz")
    assert [p.name for p in path.parent.iterdir()] == [name]  # nothing half written is left


def test_a_save_that_fails_leaves_the_older_file(tmp_path):
    path = tmp_path / "v.txt"
    save_word_vectors(path, example(3))
    before = path.read_bytes()
    for word, message in (
        ("two words", "'two words' is empty or has white space in it"),
        ("", "''"),
        ("a\n", r"'a\\n'"),
    ):
        with pytest.raises(ValueError, match=message):
            save_word_vectors(path, WordVectors(("a", word), np.ones((2, 2))))
    with pytest.raises(UnicodeEncodeError):  # when half of it is written
        save_word_vectors(path, WordVectors(("a", "\ud800"), np.ones((2, 2))))
    assert path.read_bytes() == before


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("bad 1 2", "'bad': 2 numbers in place of 3"),
        ("bad 1 2 3 4", "'bad': 4 numbers in place of 3"),
        ("bad", "'bad': 0 numbers in place of 3"),
        ("bad 1 x 3", "'bad': behind the word not everything is a number"),
        ("two words 1 2 3", "'two': behind the word not everything is a number"),
        ("bad 1 nan 3", "'bad': a number is not finite"),
        ("bad 1 2 inf", "'bad': a number is not finite"),
        ("bad 1 2 1e39", "'bad': a number is not finite, or too large for float32"),
        ("dog 7 8 9", "'dog': the word was there before"),
    ],
)
def test_a_bad_line_is_named_by_its_number_counted_and_left_out(tmp_path, header, line, message):
    lines = (["4 3"] if header else []) + ["dog 1 2 3", "cat 4 5 6", line, "cow 7 8 9"]
    path = tmp_path / "v.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.warns(UserWarning, match=f"skipped 1 lines of v.txt: line {4 if header else 3}, {message}"):
        vectors = load_word_vectors(path)
    assert vectors.words == ("dog", "cat", "cow")
    assert vectors.vectors.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_a_bad_vector_of_a_binary_file_is_named(tmp_path):
    vectors = example(4, 3)
    vectors.vectors[2, 1] = torch.inf
    (tmp_path / "v.bin").write_bytes(binary(vectors))
    with pytest.warns(UserWarning, match="word 3, 'w2': a number is not finite"):
        assert load_word_vectors(tmp_path / "v.bin").words == ("w0", "w1", "w3")


def test_a_bad_line_of_an_unwanted_word_is_no_matter(tmp_path):
    (tmp_path / "v.txt").write_text("dog 1 2\n. . . 1 2\nat mail 3 4\ncat 3 4\n", encoding="utf-8")
    assert load_word_vectors(tmp_path / "v.txt", {"dog", "cat"}).words == ("dog", "cat")  # and no warning


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: it has no word vectors"),
        (b"\n\n", "is empty"),
        (b"3 0\na\nb\nc\n", "vectors must have 1 to 100,000 numbers, its first line says 0"),
        (b"3 999999999\na 1\n", "its first line says 999,999,999"),
        (b"2 2\n", "was cut short after 0 of 2 words: get it again"),
        (text(example(9))[:-200], r"was cut short after \d of 9 words: get it again"),
        (binary(example(9))[:-20], "was cut short after 8 of 9 words: get it again"),
        (binary(example(9), b"")[:-1], "was cut short after 8 of 9 words"),
        (gzip.compress(text(example(90)))[:-100], "is damaged or was cut short"),
        (gzip.compress(text(example(9)))[:-9] + b"damaged!!", "is damaged or was cut short"),
        (b"a b c\nd e f\n", "no file of word vectors: 2 lines are bad; the first: line 1, 'a': behind the word not"),
        (pickle.dumps({"dog": [1.0] * 50}), "is no file of word vectors"),
        (b"PK\x03\x04\x14\x00" + bytes(range(256)) * 40, "is no file of word vectors"),
        (b'{"dog": [1, 2, 3]}\n', "is no file of word vectors"),
    ],
)
def test_files_that_are_none_are_named(tmp_path, content, message):
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        load_word_vectors(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_missing_files_and_missing_words_are_named(tmp_path):
    for path in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(FileNotFoundError, match="no file of word vectors at"):
            load_word_vectors(path)
    for content in (text(example(3)), text(example(3), header=False), binary(example(3))):
        (tmp_path / "v").write_bytes(content)
        with pytest.raises(ValueError, match="has none of the words asked for"):
            load_word_vectors(tmp_path / "v", ["dog"])


@pytest.mark.parametrize(("make", "count"), [(text, 2_000), (binary, 10_000)])
def test_reading_costs_the_memory_of_the_wanted_words_only(tmp_path, make, count):
    path = tmp_path / "large"
    path.write_bytes(make(example(count, 200)))
    assert path.stat().st_size > 7e6
    tracemalloc.start()
    try:
        vectors = load_word_vectors(path, {"w17", f"w{count - 1}"})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert vectors.words == ("w17", f"w{count - 1}")
    assert peak < 4e6
