"""Chapters 1 to 3: two right answers to every self-check, and usual mistakes with the hint that each should get."""

import re
from collections import Counter
from itertools import accumulate

import numpy as np
import torch
from torch.nn.functional import logsigmoid, normalize

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


def counted_by_hand(sentences, n):
    counts = {}
    for word in (word for sentence in sentences for word in sentence):
        counts[word] = counts.get(word, 0) + 1
    return ("<end>", *sorted((word for word in counts if counts[word] >= n), key=lambda word: (-counts[word], word)))


def split_at_spaces_only(text):
    kept = "".join(c for c in text.lower() if c.isalnum() or c == " ")
    return [word for word in kept.split(" ") if word]


def tokenise_by_letters(text):
    return "".join(letter for letter in text.lower() if letter.isalnum() or letter.isspace()).split()


def loss_by_softplus(x, o, o_n, weights):
    softplus = torch.nn.functional.softplus
    total = x.new_zeros(())
    for one, neighbour, weight in zip(x, o, weights, strict=True):
        total = total + softplus(-(one @ neighbour)) + (weight * softplus(o_n @ one)).sum()
    return total


def brnn_by_words(layers, x, mask):
    """Word by word, each sentence by itself."""
    out = torch.zeros(*mask.shape, layers["output"].out_features)
    for row, real in enumerate(mask.sum(1).tolist()):
        e = torch.relu(layers["input"](x[row, :real]))
        ahead, back = torch.zeros_like(e), torch.zeros_like(e)
        for t in range(real):
            ahead[t] = torch.relu(e[t] + layers["forward"](ahead[t - 1] if t else torch.zeros_like(e[0])))
        for t in reversed(range(real)):
            back[t] = torch.relu(e[t] + layers["backward"](back[t + 1] if t + 1 < real else torch.zeros_like(e[0])))
        out[row, :real] = torch.relu(layers["output"](ahead + back))
    return out


def recur_by_scan(inputs, w):
    return list(accumulate(inputs, lambda h, e: max(0.0, e + w * h), initial=0.0))[1:]


def distribution_in_numpy(counts):
    powers = np.asarray(counts, dtype=float) ** 0.75
    return powers / powers.sum()


def nearest_by_sorting(number, vectors, count):
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    likeness = (unit @ unit[number]).tolist()
    return sorted((n for n in range(len(unit)) if n != number), key=lambda n: -likeness[n])[:count]


RIGHT = {
    "check_recurrence": (recur, recur_by_scan),
    "check_brnn": (brnn, brnn_by_words),
    "check_negative_distribution": (negative_distribution, distribution_in_numpy),
    "check_negative_sampling": (loss, loss_by_softplus),
    "check_nearest": (by_cosine, nearest_by_sorting),
    "check_tokenise": (tokenise, tokenise_by_letters),
    "check_vocabulary": (make_vocabulary, counted_by_hand),
    "check_encode": (encode, lambda tokens, index: [n for n in map(index.get, tokens) if n is not None]),
    "check_one_hot": (
        one_hot,
        lambda numbers, size: torch.nn.functional.one_hot(torch.tensor(numbers), size),
        lambda numbers, size: torch.stack([torch.eye(size)[k] for k in numbers]),
        lambda numbers, size: [[int(k == n) for k in range(size)] for n in numbers],
    ),
}
WRONG = [
    ("check_recurrence", lambda inputs, w: None, "return"),
    ("check_recurrence", lambda inputs, w: recur(inputs, w)[-1], "every step"),
    ("check_recurrence", lambda inputs, w: torch.tensor(recur(inputs, w))[:, None], "yours has shape (6, 1)"),
    ("check_recurrence", lambda inputs, w: {"h": recur(inputs, w)}, "yours is {'h'"),
    ("check_recurrence", lambda inputs, w: [0.0, *recur(inputs, w)], "h_0 not among them"),
    ("check_recurrence", without_relu, "never negative"),
    ("check_recurrence", lambda inputs, w: recur(inputs, 2 * w), "wanted"),
    ("check_brnn", lambda layers, x, mask: None, "return"),
    ("check_brnn", lambda layers, x, mask: torch.cat(directions(layers, x, mask), -1), "shape"),
    ("check_brnn", over_the_padding, "starts in the padding"),
    ("check_brnn", not_turned_back, "flip them back"),
    ("check_brnn", without_last_relu, "never negative"),
    ("check_brnn", lambda w, x, m: finish(w, directions(w, x, m)[0], m), "forward direction alone"),
    ("check_brnn", lambda w, x, m: finish(w, directions(w, x, m)[1], m), "backward direction alone"),
    ("check_brnn", lambda w, x, m: finish(w, sum(directions(w, x, m)) / 2, m), "not averaged"),
    ("check_brnn", lambda w, x, m: brnn({**w, "backward": w["forward"]}, x, m), "weights of its own"),
    ("check_brnn", lambda w, x, m: finish(w, sum(directions(w, x, m, lambda e: e)), m), "its own f"),
    ("check_brnn", lambda w, x, m: finish(w, sum(directions(w, x, m)), torch.ones_like(m)), "zero where"),
    ("check_brnn", lambda w, x, m: 2 * brnn(w, x, m), "differ"),
    ("check_negative_distribution", lambda counts: None, "return"),
    ("check_negative_distribution", lambda counts: counts**0.75, "divide by the sum"),
    ("check_negative_distribution", lambda counts: counts / counts.sum(), "plain shares"),
    ("check_negative_distribution", lambda counts: (counts / counts.sum()) ** 0.75, "the power comes first"),
    ("check_negative_distribution", lambda counts: negative_distribution(counts + 1), "never drawn"),
    ("check_negative_distribution", lambda counts: negative_distribution(counts, 0.5), "give"),
    ("check_negative_sampling", lambda *batch: -loss(*batch), "the sign"),
    ("check_negative_sampling", lambda *batch: loss(*batch) / len(batch[0]), "mean over pairs"),
    ("check_negative_sampling", wrong_sign_inside, "minus inside"),
    ("check_negative_sampling", lambda x, o, o_n, w: loss(x, o, o_n, torch.ones_like(w)), "its weight"),
    ("check_negative_sampling", lambda x, o, o_n, w: loss(x, o, o_n, 0 * w), "negatives are missing"),
    ("check_negative_sampling", lambda x, o, o_n, w: -logsigmoid((x * o).sum(1)), "one number"),
    ("check_negative_sampling", lambda *batch: 2 * loss(*batch), "wanted"),
    ("check_negative_sampling", lambda *batch: float(loss(*batch)), "no gradient comes back"),
    (
        "check_negative_sampling",
        lambda x, o, o_n, w: loss(x, o.detach(), o_n, w),
        "without float(), item() or detach()",
    ),
    (
        "check_negative_sampling",
        lambda x, o, o_n, w: loss(x, o, o_n.detach(), w),
        "without float(), item() or detach()",
    ),
    ("check_negative_sampling", overflows, "logsigmoid"),
    ("check_nearest", lambda number, vectors, count: None, "return"),
    ("check_nearest", lambda n, v, count: ordered(v @ v[n], n, count), "plain product"),
    ("check_nearest", lambda n, v, count: ordered(-(v - v[n]).norm(dim=1), n, count), "distance"),
    ("check_nearest", lambda n, v, count: [n, *by_cosine(n, v, count - 1)], "itself"),
    ("check_nearest", lambda n, v, count: by_cosine(n, v, count - 1), "6 words"),
    ("check_nearest", lambda n, v, count: by_cosine(n, v, 6), "1 words were asked for"),
    ("check_nearest", lambda n, v, count: by_cosine(3, v, count), "wanted"),
    ("check_nearest", lambda n, v, count: [(k, 0.5) for k in by_cosine(n, v, count)], "cannot be compared"),
    ("check_nearest", lambda n, v, count: 3, "cannot be compared"),
    ("check_nearest", lambda n, v, count: by_cosine(n, v, count)[::-1], "comes first"),
    ("check_nearest", lambda n, v, count: by_cosine(n, -v, count)[:0] + list(range(4, 10)), "wanted"),
    ("check_tokenise", lambda text: None, "return"),
    ("check_tokenise", lambda text: text.lower(), "split it"),
    ("check_tokenise", lambda text: tokenise(text)[::-1], "should become"),
    ("check_tokenise", lambda text: re.sub(r"[^\w\s]|_", "", text).split(), "capitals"),
    ("check_tokenise", lambda text: text.lower().split(), "comma"),
    ("check_tokenise", lambda text: re.sub(r"[^\w\s]|_", "", text.lower()).split(" "), "several spaces"),
    ("check_tokenise", split_at_spaces_only, "by a tab or a new line"),
    ("check_tokenise", lambda text: re.findall(r"[^\W_]+", text.lower()), "no gap"),
    ("check_tokenise", lambda text: re.sub(r"[^\w\s]", "", text.lower()).split(), "underscore"),
    ("check_tokenise", lambda text: re.sub(r"[^a-z\s]", "", text.lower()).split(), "digits stay"),
    ("check_vocabulary", lambda sentences, n: None, "return"),
    ("check_vocabulary", without_end, "<end>"),
    ("check_vocabulary", too_strict, ">="),
    ("check_vocabulary", all_words, "fewer than"),
    ("check_vocabulary", rare_first, "most frequent come first"),
    ("check_vocabulary", equals_as_they_come, "alphabetical"),
    ("check_vocabulary", lambda s, n: [*make_vocabulary(s, n), "a"], "twice"),
    ("check_vocabulary", lambda s, n: [w for w in make_vocabulary(s, n) if w == "<end>"], "missing"),
    ("check_encode", lambda tokens, index: [index[token] for token in tokens], "drop it"),
    ("check_encode", lambda tokens, index: [index.get(token, 0) for token in tokens], "number 0"),
    ("check_encode", lambda tokens, index: sorted(encode(tokens, index)), "order of the sentence"),
    ("check_encode", lambda tokens, index: list(dict.fromkeys(encode(tokens, index))), "2 words are known"),
    ("check_encode", lambda tokens, index: encode(tokens[1:], index), "2 words are known"),
    ("check_encode", lambda tokens, index: [index[t] + 1 for t in tokens if t in index], "should become"),
    ("check_encode", lambda tokens, index: None, "is there a `return`?"),
    ("check_one_hot", lambda numbers, size: None, "return"),
    ("check_one_hot", lambda numbers, size: one_hot(numbers, size).T, "a row for each"),
    ("check_one_hot", lambda numbers, size: one_hot(numbers, size).sum(0), "shape"),
    ("check_one_hot", lambda numbers, size: one_hot(numbers, 20), "shape"),
    ("check_one_hot", lambda numbers, size: one_hot(numbers, size) * 0, "exactly one 1"),
    ("check_one_hot", lambda numbers, size: one_hot([(n + 1) % size for n in numbers], size), "row t is hot"),
]
