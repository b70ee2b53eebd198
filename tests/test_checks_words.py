"""The self-checks of chapters 1 to 3: what is right passes, and a usual mistake gets its hint."""

import re
from collections import Counter

import pytest
import torch
from torch.nn.functional import logsigmoid, normalize

from vsa_lite.checks import words as checks
from vsa_lite.data.records import tokenise
from vsa_lite.words.negative_sampling import negative_distribution
from vsa_lite.words.vocabulary import Vocabulary


def counted(sentences):
    return Counter(token for tokens in sentences for token in tokens)


def ranked(counts, kept):
    return ["<end>", *sorted(kept, key=lambda word: (-counts[word], word))]


def make_vocabulary(sentences, minimum_count=5):
    return Vocabulary.from_sentences(sentences, minimum_count).words


def too_strict(sentences, n):
    counts = counted(sentences)
    return ranked(counts, [word for word in counts if counts[word] > n])


def all_words(sentences, n):
    counts = counted(sentences)
    return ranked(counts, counts)


def without_end(sentences, n):
    return make_vocabulary(sentences, n)[1:]


def rare_first(sentences, n):
    return ["<end>", *reversed(make_vocabulary(sentences, n)[1:])]


def equals_as_they_come(sentences, n):
    counts = counted(sentences)
    return ["<end>", *sorted((w for w in counts if counts[w] >= n), key=lambda w: (-counts[w], w[::-1]))]


def encode(tokens, index):
    return [index[token] for token in tokens if token in index]


def one_hot(numbers, size):
    return torch.eye(size)[torch.tensor(numbers, dtype=torch.long)]


def loss(x, o, o_n, weights):
    return -logsigmoid((x * o).sum(1)).sum() - (weights * logsigmoid(-x @ o_n.T)).sum()


def wrong_sign_inside(x, o, o_n, weights):
    return -logsigmoid((x * o).sum(1)).sum() - (weights * logsigmoid(x @ o_n.T)).sum()


def overflows(x, o, o_n, weights):
    return -(x * o).sum(1).sigmoid().log().sum() - (weights * (-x @ o_n.T).sigmoid().log()).sum()


def ordered(likeness, number, count):
    likeness[number] = -torch.inf
    return likeness.topk(count).indices.tolist()


def by_cosine(number, vectors, count):
    return ordered(normalize(vectors) @ normalize(vectors[number], dim=0), number, count)


def recur(inputs, w):
    h, states = 0.0, []
    for e in inputs:
        h = max(0.0, e + w * h)
        states.append(h)
    return states


def without_relu(inputs, w):
    h, states = 0.0, []
    for e in inputs:
        h = e + w * h
        states.append(h)
    return states


def read(e, mask, recurrent):
    h, states = torch.zeros_like(e[:, 0]), []
    for t in range(e.shape[1]):
        h = torch.relu(e[:, t] + recurrent(h)) * mask[:, t, None]
        states.append(h)
    return torch.stack(states, 1)


def directions(layers, x, mask, inside=torch.relu):
    e = inside(layers["input"](x))
    return read(e, mask, layers["forward"]), read(e.flip(1), mask.flip(1), layers["backward"]).flip(1)


def finish(layers, h, mask):
    return torch.relu(layers["output"](h)) * mask[..., None]


def brnn(layers, x, mask):
    return finish(layers, sum(directions(layers, x, mask)), mask)


def over_the_padding(layers, x, mask):
    return brnn(layers, x, torch.ones_like(mask)) * mask[..., None]


def not_turned_back(layers, x, mask):
    ahead, back = directions(layers, x, mask)
    return finish(layers, ahead + back.flip(1), mask)


def without_last_relu(layers, x, mask):
    return layers["output"](sum(directions(layers, x, mask))) * mask[..., None]


RIGHT = [
    (checks.check_recurrence, recur),
    (checks.check_brnn, brnn),
    (checks.check_negative_distribution, negative_distribution),
    (checks.check_negative_sampling, loss),
    (checks.check_nearest, by_cosine),
    (checks.check_tokenise, tokenise),
    (checks.check_vocabulary, make_vocabulary),
    (checks.check_encode, encode),
    (checks.check_one_hot, one_hot),
    (checks.check_one_hot, lambda numbers, size: one_hot(numbers, size).long()),
]
WRONG = [
    (checks.check_recurrence, lambda inputs, w: None, "return"),
    (checks.check_recurrence, lambda inputs, w: recur(inputs, w)[-1], "every step"),
    (checks.check_recurrence, lambda inputs, w: [0.0, *recur(inputs, w)], "h_0 not among them"),
    (checks.check_recurrence, without_relu, "never negative"),
    (checks.check_recurrence, lambda inputs, w: recur(inputs, 2 * w), "wanted"),
    (checks.check_brnn, lambda layers, x, mask: None, "return"),
    (checks.check_brnn, lambda layers, x, mask: torch.cat(directions(layers, x, mask), -1), "shape"),
    (checks.check_brnn, over_the_padding, "starts in the padding"),
    (checks.check_brnn, not_turned_back, "flip them back"),
    (checks.check_brnn, without_last_relu, "never negative"),
    (checks.check_brnn, lambda w, x, m: finish(w, directions(w, x, m)[0], m), "forward direction alone"),
    (checks.check_brnn, lambda w, x, m: finish(w, directions(w, x, m)[1], m), "backward direction alone"),
    (checks.check_brnn, lambda w, x, m: finish(w, sum(directions(w, x, m)) / 2, m), "not averaged"),
    (checks.check_brnn, lambda w, x, m: brnn({**w, "backward": w["forward"]}, x, m), "weights of its own"),
    (checks.check_brnn, lambda w, x, m: finish(w, sum(directions(w, x, m, lambda e: e)), m), "its own f"),
    (checks.check_brnn, lambda w, x, m: finish(w, sum(directions(w, x, m)), torch.ones_like(m)), "zero where"),
    (checks.check_brnn, lambda w, x, m: 2 * brnn(w, x, m), "differ"),
    (checks.check_negative_distribution, lambda counts: None, "return"),
    (checks.check_negative_distribution, lambda counts: counts**0.75, "divide by the sum"),
    (checks.check_negative_distribution, lambda counts: counts / counts.sum(), "plain shares"),
    (checks.check_negative_distribution, lambda counts: (counts / counts.sum()) ** 0.75, "the power comes first"),
    (checks.check_negative_distribution, lambda counts: negative_distribution(counts + 1), "never drawn"),
    (checks.check_negative_distribution, lambda counts: negative_distribution(counts, 0.5), "give"),
    (checks.check_negative_sampling, lambda *batch: -loss(*batch), "the sign"),
    (checks.check_negative_sampling, lambda *batch: loss(*batch) / len(batch[0]), "mean over pairs"),
    (checks.check_negative_sampling, wrong_sign_inside, "minus inside"),
    (checks.check_negative_sampling, lambda x, o, o_n, w: loss(x, o, o_n, torch.ones_like(w)), "its weight"),
    (checks.check_negative_sampling, lambda x, o, o_n, w: loss(x, o, o_n, 0 * w), "negatives are missing"),
    (checks.check_negative_sampling, lambda x, o, o_n, w: -logsigmoid((x * o).sum(1)), "one number"),
    (checks.check_negative_sampling, lambda *batch: 2 * loss(*batch), "wanted"),
    (checks.check_negative_sampling, overflows, "logsigmoid"),
    (checks.check_nearest, lambda number, vectors, count: None, "return"),
    (checks.check_nearest, lambda n, v, count: ordered(v @ v[n], n, count), "plain product"),
    (checks.check_nearest, lambda n, v, count: ordered(-(v - v[n]).norm(dim=1), n, count), "distance"),
    (checks.check_nearest, lambda n, v, count: [n, *by_cosine(n, v, count - 1)], "itself"),
    (checks.check_nearest, lambda n, v, count: by_cosine(n, v, count - 1), "6 words"),
    (checks.check_nearest, lambda n, v, count: by_cosine(n, v, count)[::-1], "comes first"),
    (checks.check_nearest, lambda n, v, count: by_cosine(n, -v, count)[:0] + list(range(4, 10)), "wanted"),
    (checks.check_tokenise, lambda text: None, "return"),
    (checks.check_tokenise, lambda text: text.lower(), "split it"),
    (checks.check_tokenise, lambda text: re.sub(r"[^\w\s]|_", "", text).split(), "capitals"),
    (checks.check_tokenise, lambda text: text.lower().split(), "comma"),
    (checks.check_tokenise, lambda text: re.sub(r"[^\w\s]|_", "", text.lower()).split(" "), "several spaces"),
    (checks.check_tokenise, lambda text: re.findall(r"[^\W_]+", text.lower()), "no gap"),
    (checks.check_tokenise, lambda text: re.sub(r"[^\w\s]", "", text.lower()).split(), "underscore"),
    (checks.check_tokenise, lambda text: re.sub(r"[^a-z\s]", "", text.lower()).split(), "digits stay"),
    (checks.check_vocabulary, lambda sentences, n: None, "return"),
    (checks.check_vocabulary, without_end, "<end>"),
    (checks.check_vocabulary, too_strict, ">="),
    (checks.check_vocabulary, all_words, "fewer than"),
    (checks.check_vocabulary, rare_first, "most frequent come first"),
    (checks.check_vocabulary, equals_as_they_come, "alphabetical"),
    (checks.check_vocabulary, lambda s, n: [*make_vocabulary(s, n), "a"], "twice"),
    (checks.check_vocabulary, lambda s, n: [w for w in make_vocabulary(s, n) if w == "<end>"], "missing"),
    (checks.check_encode, lambda tokens, index: [index[token] for token in tokens], "drop it"),
    (checks.check_encode, lambda tokens, index: [index.get(token, 0) for token in tokens], "number 0"),
    (checks.check_encode, lambda tokens, index: sorted(encode(tokens, index)), "order of the sentence"),
    (checks.check_encode, lambda tokens, index: list(dict.fromkeys(encode(tokens, index))), "2 words are known"),
    (checks.check_one_hot, lambda numbers, size: None, "return"),
    (checks.check_one_hot, lambda numbers, size: one_hot(numbers, size).T, "a row for each"),
    (checks.check_one_hot, lambda numbers, size: one_hot(numbers, size).sum(0), "shape"),
    (checks.check_one_hot, lambda numbers, size: one_hot(numbers, size) * 0, "exactly one 1"),
    (checks.check_one_hot, lambda numbers, size: one_hot([(n + 1) % size for n in numbers], size), "row t is hot"),
]


@pytest.mark.parametrize(("check", "function"), RIGHT)
def test_what_is_right_passes_and_is_told_so(check, function, capsys):
    check(function)
    assert capsys.readouterr().out == f"{check.__name__}: right\n"


@pytest.mark.parametrize(("check", "function", "hint"), WRONG)
def test_a_usual_mistake_gets_its_hint(check, function, hint, capsys):
    with pytest.raises(AssertionError, match=re.escape(hint)):
        check(function)
    assert capsys.readouterr().out == ""


def test_every_check_is_tried_both_ways():
    all_checks = {value for name, value in vars(checks).items() if name.startswith("check_")}
    assert {check for check, _ in RIGHT} == {check for check, *_ in WRONG} == all_checks
