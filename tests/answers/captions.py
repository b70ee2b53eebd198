"""Chapters 10 to 12: two right answers to every self-check, and usual mistakes with the hint that each should get."""

import itertools
import math
from collections import Counter

import torch

from vsa_lite.captioning.decoding import beam_search, greedy
from vsa_lite.evaluation.captions import bleu


def shifted(tokens, mask, start):
    pad = torch.nn.functional.pad
    return pad(tokens, (1, 0), value=start), pad(tokens, (0, 1)), pad(mask, (1, 0), value=True)


def one_step(m, words, past, picture):
    return torch.relu(m.W_w[words] @ m.W_hx.T + past @ m.W_hh.T + m.b_h + picture)


def mean_loss(log_y, guess, real):
    return -log_y.gather(2, guess[..., None])[..., 0][real].mean()


def package_beam(model, features, beam_size, max_length):
    found = beam_search(model, features, beam_size, max_length)
    return found.tokens[0], float(found.log_probability[0])


def package_bleu(candidates, references, n):
    return bleu(candidates, references)[f"bleu_{n}"]


def runs(words, path, minimum):
    groups = itertools.groupby(zip(path, words, strict=True), lambda both: both[0])
    found = [(region, [word for _, word in group]) for region, group in groups]
    return [(region, run) for region, run in found if len(run) >= minimum]


def shifted_by_loop(tokens, mask, start):
    n, T = tokens.shape
    read, guess, real = torch.full((n, T + 1), start), torch.zeros(n, T + 1).long(), torch.zeros(n, T + 1).bool()
    for row, length in enumerate(mask.sum(1).tolist()):
        read[row, 1 : 1 + length] = guess[row, :length] = tokens[row, :length]
        real[row, : length + 1] = True
    return [read * (torch.arange(T + 1) <= mask.sum(1, keepdim=True)), guess, real]


def step_by_rows(m, words, past, picture):
    return torch.stack(
        [
            (m.W_hx @ m.W_w[word] + m.W_hh @ before + m.b_h + seen).clamp(min=0)
            for word, before, seen in zip(words, past, picture.expand(len(words), -1), strict=True)
        ]
    )


def loss_by_nll(log_y, guess, real):
    return torch.nn.functional.nll_loss(log_y[real], guess[real])


def plain_beam(model, features, beam_size, max_length):
    """Sentence by sentence, finished ones kept in the beam."""
    beams = [(0.0, [], model.initial_state(features))]
    for _ in range(max_length):
        candidates = [beam for beam in beams if beam[1][-1:] == [0]]
        for total, words, state in beams:
            if words[-1:] != [0]:
                log_y, following = model.step(state, torch.tensor([words[-1] if words else model.start]))
                candidates += [(total + gain, [*words, word], following) for word, gain in enumerate(log_y[0].tolist())]
        beams = sorted(candidates, key=lambda candidate: -candidate[0])[:beam_size]
    total, words, _ = beams[0]
    return [word for word in words if word], total


def bleu_by_counts(candidates, references, n):
    def grams(words, k):
        return Counter(zip(*(words[start:] for start in range(k)), strict=False))

    logs = 0.0
    for k in range(1, n + 1):
        hits = total = 0
        for candidate, people in zip(candidates, references, strict=True):
            most = Counter()
            for sentence in people:
                most |= grams(sentence, k)
            hits += sum((grams(candidate, k) & most).values())
            total += max(0, len(candidate) - k + 1)
        if not hits:
            return 0.0
        logs += math.log(hits / total) / n
    pairs = zip(candidates, references, strict=True)
    c, r = sum(map(len, candidates)), sum(min((abs(len(p) - len(w)), len(p)) for p in people)[1] for w, people in pairs)
    return 100 * math.exp(logs + min(0, 1 - r / c))


def runs_by_hand(words, path, minimum):
    found, start = [], 0
    for end in range(1, len(words) + 1):
        if end == len(words) or path[end] != path[start]:
            if end - start >= minimum:
                found.append((path[start], words[start:end]))
            start = end
    return found


RIGHT = {
    "check_inputs_and_targets": (shifted, shifted_by_loop),
    "check_step": (one_step, step_by_rows),
    "check_cross_entropy": (mean_loss, loss_by_nll),
    "check_temper": (
        lambda log_y, tau: (log_y / tau).softmax(1),
        lambda log_y, tau: (log_y / tau).softmax(1).numpy(),
        lambda log_y, tau: log_y.exp() ** (1 / tau) / (log_y.exp() ** (1 / tau)).sum(1, keepdim=True),
    ),
    "check_beam": (package_beam, plain_beam),
    "check_bleu": (package_bleu, bleu_by_counts),
    "check_cut": (runs, runs_by_hand),
}


def stops_at_the_first(model, features, beam_size, max_length):
    """A beam that returns the first sentence that ends."""
    beams = [(0.0, [], model.initial_state(features))]
    for _ in range(max_length):
        candidates = []
        for total, words, state in beams:
            log_y, following = model.step(state, torch.tensor([words[-1] if words else model.start]))
            candidates += [(total + gain, [*words, word], following) for word, gain in enumerate(log_y[0].tolist())]
        beams = sorted(candidates, key=lambda candidate: -candidate[0])[:beam_size]
        for total, words, _ in beams:
            if words[-1] == 0:
                return words[:-1], total
    return beams[0][1], beams[0][0]


def second_best(model, features, beam_size, max_length):
    found = beam_search(model, features, 2, max_length, n_best=2).n_best[1]
    return found.tokens[0], float(found.log_probability[0])


def only_greedy(model, features, beam_size, max_length):
    found = greedy(model, features, max_length)
    return found.tokens[0], float(found.log_probability[0])


def mean_of_words(model, features, beam_size, max_length):
    words, total = package_beam(model, features, beam_size, max_length)
    return words, total / (len(words) + 1)


def unclipped(candidates, references, n):
    """BLEU-1 by hand, without clipping and without a penalty."""
    right = sum(any(word in p for p in people) for c, people in zip(candidates, references, strict=True) for word in c)
    return 100 * right / sum(map(len, candidates))


def joined(words, path, minimum):
    """Runs of one region joined over the whole sentence."""
    found = {}
    for word, region in zip(words, path, strict=True):
        found.setdefault(region, []).append(word)
    return [(region, run) for region, run in found.items() if len(run) >= minimum]


def penalty_exponent(candidates, references):
    """1 - r / c, below 0 where the candidates are short."""
    pairs = zip(candidates, references, strict=True)
    r = sum(min((abs(len(p) - len(words)), len(p)) for p in people)[1] for words, people in pairs)
    return 1 - r / sum(map(len, candidates))


def without_penalty(candidates, references, n):
    return package_bleu(candidates, references, n) / math.exp(min(0, penalty_exponent(candidates, references)))


def with_a_prize(candidates, references, n):
    """Longer candidates gain by their length."""
    return without_penalty(candidates, references, n) * math.exp(penalty_exponent(candidates, references))


def by_shortest(candidates, references, n):
    """Brevity by the shortest reference, not by the nearest in length."""
    shortest = [[min(people, key=len)] for people in references]
    return without_penalty(candidates, references, n) * math.exp(min(0, penalty_exponent(candidates, shortest)))


def clipped_by_the_sum(candidates, references, n):
    """A word counts as often as all references together have it."""
    together = [Counter(word for sentence in people for word in sentence) for people in references]
    hits = sum(sum((Counter(c) & counts).values()) for c, counts in zip(candidates, together, strict=True))
    penalty = math.exp(min(0, penalty_exponent(candidates, references)))
    return 100 * hits / sum(map(len, candidates)) * penalty


def mean_of_sentences(candidates, references, n):
    return sum(package_bleu([c], [r], n) for c, r in zip(candidates, references, strict=True)) / len(candidates)


WRONG = [
    ("check_inputs_and_targets", lambda t, m, s: (t, t, m), "shape"),
    ("check_inputs_and_targets", lambda t, m, s: shifted(t, m, 0), "START"),
    ("check_inputs_and_targets", lambda t, m, s: (shifted(t, m, s)[0],) * 2 + (shifted(t, m, s)[2],), "one step ahead"),
    (
        "check_inputs_and_targets",
        lambda t, m, s: (*shifted(t, m, s)[:2], shifted(t, m, s)[1] > 0),
        "END is guessed too",
    ),
    ("check_inputs_and_targets", lambda t, m, s: (t, m), "three things"),
    ("check_inputs_and_targets", lambda t, m, s: shifted(t, m, 5), "START"),
    ("check_step", lambda m, w, p, v: m.W_w[w] @ m.W_hx.T + p @ m.W_hh.T + m.b_h + v, "f is missing"),
    ("check_step", lambda m, w, p, v: one_step(m, w, p, 0 * v), "the picture is missing"),
    ("check_step", lambda m, w, p, v: one_step(m, w, 0 * p, v), "the state before is missing"),
    ("check_step", lambda m, w, p, v: one_step(m, w, p, 0) + v, "inside f"),
    ("check_step", lambda m, w, p, v: None, "is there a `return`?"),
    ("check_step", lambda m, w, p, v: torch.relu(m.W_w[w] @ m.W_hx + p @ m.W_hh + m.b_h + v), "the wrong way round"),
    ("check_cross_entropy", lambda y, g, r: None, "is there a `return`?"),
    ("check_cross_entropy", lambda y, g, r: float(mean_loss(y, g, r)), "no gradient comes back"),
    ("check_cross_entropy", lambda y, g, r: mean_loss(y, g, r) + 1, "compare with the equation"),
    ("check_cross_entropy", lambda y, g, r: -mean_loss(y, g, r), "the sign"),
    ("check_cross_entropy", lambda y, g, r: mean_loss(y, g, r >= False), "padding"),
    ("check_cross_entropy", lambda y, g, r: mean_loss(y, g, r) * r.sum(), "you took the sum"),
    ("check_cross_entropy", lambda y, g, r: mean_loss(y, g, r) * r.sum() / len(r), "number of sentences"),
    ("check_cross_entropy", lambda y, g, r: mean_loss(y, g, r).exp(), "perplexity"),
    ("check_temper", lambda y, tau: (y * tau).softmax(1), "multiplied"),
    ("check_temper", lambda y, tau: (y.exp() / tau).softmax(1), "divided y, not log y"),
    ("check_temper", lambda y, tau: y.softmax(1), "not used"),
    ("check_temper", lambda y, tau: (y / tau).exp(), "sum to 1"),
    ("check_temper", lambda y, tau: (y / tau).softmax(-1) ** 2, "not what is drawn from"),
    ("check_temper", lambda y, tau: None, "is there a `return`?"),
    ("check_beam", stops_at_the_first, "first finished sentence"),
    ("check_beam", second_best, "greedy, exactly"),
    ("check_beam", only_greedy, "stay in the beam"),
    ("check_beam", mean_of_words, "another log P"),
    ("check_beam", lambda *given: package_beam(*given)[0], "wanted"),
    ("check_beam", lambda m, f, size, longest: package_beam(m, f, size, 8), "at most max_length words"),
    ("check_bleu", lambda c, r, n: package_bleu(c, r, n) / 100, "in percent"),
    ("check_bleu", unclipped, "the the the"),
    ("check_bleu", without_penalty, "brevity penalty"),
    ("check_bleu", by_shortest, "the one nearest in length counts"),
    ("check_bleu", clipped_by_the_sum, "as often as one reference has it"),
    ("check_bleu", with_a_prize, "longer candidates get no prize"),
    ("check_bleu", lambda c, r, n: package_bleu(c, r, n) if n < 3 else 0.0, "BLEU-3 should be"),
    ("check_bleu", lambda c, r, n: package_bleu(c, r, n) if n < 4 else 0.0, "BLEU-4 should be"),
    ("check_bleu", lambda c, r, n: package_bleu(c, r, min(n, 2)), "BLEU-3 should be"),
    ("check_bleu", lambda c, r, n: 100 * math.exp(math.log(package_bleu(c, r, n) / 100)), "stops with ValueError"),
    ("check_bleu", lambda c, r, n: max(1.0, package_bleu(c, r, n)), "BLEU-3 should be 0"),
    ("check_bleu", lambda c, r, n: None, "is there a `return`?"),
    ("check_bleu", mean_of_sentences, "mean of each sentence"),
    ("check_bleu", lambda c, r, n: package_bleu(c, [p[:1] for p in r], n), "compare with the formula"),
    ("check_cut", joined, "joined runs"),
    ("check_cut", lambda w, p, n: runs(w, p, n)[:-1], "last run is lost"),
    ("check_cut", lambda w, p, n: runs(w, p, 1), "are left out"),
    ("check_cut", lambda w, p, n: runs(w, p, n + 1), "is kept"),
    ("check_cut", lambda w, p, n: [], "the runs are"),
    ("check_cut", lambda w, p, n: runs(w[:-1], p[:-1], n), "the runs are"),
    ("check_cut", lambda w, p, n: [(p[0], w)], "the runs are"),
    ("check_cut", lambda w, p, n: {"a": 1}, "cannot be compared"),
    ("check_cut", lambda w, p, n: None, "is there a `return`?"),
]
