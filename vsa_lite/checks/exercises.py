"""Self-checks of what the exercises ask you to write (chapters 1, 2, 5, 6, 7, 9 and 11); `further` has more.

Each takes your function, tries it on random input beside a right one, and says that it is right or raises an
AssertionError. Where your answer is one of the usual mistakes, the error says which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from vsa_lite.alignment.losses import hardest_negative_loss, structured_loss
from vsa_lite.alignment.scores import alignment_scores
from vsa_lite.checks import self_check
from vsa_lite.checks.comparing import compare, ragged, vectors
from vsa_lite.regions.boxes import box_iou
from vsa_lite.words.negative_sampling import negative_sampling

INDEX = {word: number for number, word in enumerate("<end> a dog cat bus puppy is are on the grass <unk>".split())}


@self_check
def check_encode_unknown(yours: Callable[[list[str], dict[str, int]], Sequence[int]]) -> None:
    """Chapter 1: `yours(tokens, index)` gives the number of every word, that of "<unk>" for those not in the index."""
    other = {word: number for number, word in enumerate(["<end>", "<unk>", "bus", "red"])}
    cases = [(text.split(), index) for index in (INDEX, other) for text in ("a dog", "red zebra on a bus", "zebra", "")]
    mistakes = [
        (lambda t, index: [index[w] for w in t if w in index], "no word is dropped here: an unknown one is <unk>"),
        (lambda t, index: [index.get(w, 0) for w in t], "number 0 is the end of a sentence; an unknown word is <unk>"),
        (lambda t, index: [index.get(w, len(index)) for w in t], "<unk> has a number already: look it up"),
        (lambda t, index: [index.get(w, INDEX["<unk>"]) for w in t], "look for <unk> in the index that is given"),
        (lambda t, index: [index["<unk>"] for _ in t], "known words keep their own number"),
    ]
    compare(yours, "encode_unknown", cases, lambda t, index: [index.get(w, index["<unk>"]) for w in t], mistakes)


@self_check
def check_encode_plural(yours: Callable[[list[str], dict[str, int]], Sequence[int]]) -> None:
    """Chapter 1: `yours(tokens, index)` takes the singular where only that is known; -s, -es, and -ies for -y."""

    def encode(
        tokens: list[str], index: dict[str, int], ends: Sequence[tuple[str, str]], first: bool = False, tries: int = 3
    ) -> list[int]:
        found = []
        for token in tokens:
            known = [token[: -len(end)] + instead for end, instead in ends if token.endswith(end)][:tries]
            order = [*known, token] if first else [token, *known]
            found += [index[word] for word in order if word in index][:1]
        return found

    ends = [("ies", "y"), ("es", ""), ("s", "")]
    first = INDEX | {"glasses": 12, "glass": 13}
    second = {word: number for number, word in enumerate("<end> cherry tomato bee the".split())}
    cases = [
        (text.split(), first)
        for text in ("two dogs on the grass", "puppies are cats", "the buses", "glasses", "zebras is a dog", "")
    ]
    cases += [(text.split(), second) for text in ("the bees", "cherries", "tomatoes", "two dogs")]
    mistakes = [
        (lambda t, i: encode(t, i, ends[1:]), "“puppies” is the plural of “puppy”: -ies becomes -y"),
        (lambda t, i: encode(t, i, [ends[0], ends[2]]), "“buses” is the plural of “bus”: -es may be the ending, too"),
        (lambda t, i: encode(t, i, ends, True), "a word that is known itself stays: the singular only where it is not"),
        (
            lambda t, i: encode(t, i, ends, tries=1),
            "“bees” is the plural of “bee”: where one ending leads to no known word, try the next",
        ),
        (lambda t, i: encode(t, i, []), "plurals are dropped still: try the word without its ending"),
        (
            lambda t, i: [i.get(w, i.get(w.rstrip("s"), 0)) for w in t],
            "a word that is unknown in the singular, too, is dropped",
        ),
    ]
    compare(yours, "encode_plural", cases, lambda t, i: encode(t, i, ends), mistakes)


@self_check
def check_gradient(yours: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """Chapter 2: `yours(x, o, o_negatives, weights)`, the derivative of the loss by x [pairs, size]."""
    generator, cases = torch.Generator().manual_seed(0), []
    for pairs, negatives, size in ((5, 3, 8), (2, 4, 3), (1, 1, 2)):
        parts = vectors(generator, pairs, size), vectors(generator, pairs, size), vectors(generator, negatives, size)
        cases.append((*parts, torch.rand(pairs, negatives, generator=generator)))

    def parts(x: Tensor, o: Tensor, o_n: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        pull = -(1 - (x * o).sum(1, keepdim=True).sigmoid()) * o
        return pull, (weights * (x @ o_n.T).sigmoid()) @ o_n

    def right(x: Tensor, o: Tensor, o_n: Tensor, weights: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        return torch.autograd.grad(negative_sampling(x, o, o_n, weights)[0], x)[0]

    mistakes = [
        (lambda *a: -sum(parts(*a)), "the sign: the derivative points uphill, to where the loss rises"),
        (
            lambda *a: parts(*a)[0] - parts(*a)[1],
            "the negatives push where the neighbour pulls: they have the other sign",
        ),
        (lambda *a: parts(*a)[0], "the negatives push, too: their sum is missing"),
        (lambda *a: parts(*a)[1], "the true neighbour pulls, too: its part is missing"),
        (lambda x, o, n, w: sum(parts(x, o, n, torch.ones_like(w))), "each negative counts with its weight"),
        (
            lambda x, o, n, w: parts(x, o, n, w)[1] - (x * o).sum(1, keepdim=True).sigmoid() * o,
            "the pull is 1 - sigmoid: it ends where the pair is learned already",
        ),
        (lambda *a: sum(parts(*a)) / len(a[0]), "the loss is a sum over pairs, not their mean"),
        (lambda x, o, n, w: parts(o, x, n, w)[0], "that is the derivative by o; the one by x is asked for"),
        (lambda x, o, n, w: right(o, x, n, w), "x and o are exchanged"),
    ]
    compare(yours, "the gradient", cases, right, mistakes)


def _soften(boxes: Tensor, scores: Tensor, sigma: float, power: int = 2, mistake: str = "") -> list[int]:
    """Soft-NMS, right or mistaken: boxes lower the rest only "once", or each "afresh", or come "again"."""
    overlap, left, order = box_iou(boxes, boxes), scores.clone(), []
    for step in range(len(boxes)):
        best = int(left.argmax())
        order.append(best)
        if not (mistake == "once" and step):
            left = (scores if mistake == "afresh" else left) * torch.exp(-(overlap[best] ** power) / sigma)
        if mistake != "again":
            left[order] = -1
    return order


@self_check
def check_soften(yours: Callable[[Tensor, Tensor, float], Any]) -> None:
    """Chapter 5: `yours(boxes, scores, sigma)` gives the indices of all boxes, best first, by Soft-NMS."""
    generator, cases = torch.Generator().manual_seed(1), []
    for count, sigma in ((12, 0.3), (7, 0.05), (20, 0.8), (1, 0.5)):
        corner = 0.4 * torch.rand(count, 2, generator=generator)
        boxes = torch.cat([corner, corner + 0.2 + 0.3 * torch.rand(count, 2, generator=generator)], 1)
        cases.append((boxes, torch.rand(count, generator=generator), sigma))
    mistakes = [
        (lambda b, s, g: _soften(b, s, 0.3), "sigma is given: use it"),
        (
            lambda b, s, g: s.argsort(descending=True),
            "the scores were never lowered: go on with the best of what is left",
        ),
        (lambda b, s, g: _soften(b, s, g, 1), "the overlap is squared"),
        (
            lambda b, s, g: _soften(b, s, g, mistake="once"),
            "every box that is taken lowers the rest, not only the first one",
        ),
        (
            lambda b, s, g: _soften(b, s, g, mistake="afresh"),
            "lower the scores that are left, not the first ones again: what is lowered stays so",
        ),
        (lambda b, s, g: _soften(b, s, g, mistake="again"), "a box comes twice: what is taken is not taken again"),
        (lambda b, s, g: b[_soften(b, s, g)], "indices, not the boxes"),
        (lambda b, s, g: _soften(b, s, g)[::-1], "best first"),
    ]
    compare(yours, "soft-NMS", cases, _soften, mistakes)


def _soft_scores(v: Tensor, region_mask: Tensor, s: Tensor, word_mask: Tensor, tau: float, mean: bool = True) -> Tensor:
    products = torch.einsum("kih,lth->klti", v, s) / tau
    soft = products.masked_fill(~region_mask[:, None, None], -torch.inf).logsumexp(-1)
    soft = soft - mean * region_mask.sum(1).log()[:, None, None]
    return (tau * soft).masked_fill(~word_mask, 0).sum(-1)


@self_check
def check_soft_scores(yours: Callable[[Tensor, Tensor, Tensor, Tensor, float], Any]) -> None:
    """Chapter 6: `yours(v, region_mask, s, word_mask, temperature)`, S [images, sentences] with a soft maximum."""
    generator, cases = torch.Generator().manual_seed(2), []
    sizes = ((3, 4, 2, 5, 6, 0.5), (2, 5, 4, 3, 3, 1.0), (4, 3, 5, 6, 2, 3.0), (3, 2, 2, 4, 5, 1e-3))
    for images, regions, sentences, words, h, tau in sizes:
        region_mask, word_mask = ragged(generator, images, regions), ragged(generator, sentences, words)
        v, s = vectors(generator, images, regions, h), vectors(generator, sentences, words, h)
        if tau < 0.1:  # every product is above 0 here, so that exp is infinite for every word
            v, s = v.abs(), s.abs()
        v, s = v.masked_fill(~region_mask[..., None], 2.0), s.masked_fill(~word_mask[..., None], -2.0)
        cases.append((v, region_mask, s, word_mask, tau))

    def all_real(which: int) -> Callable:
        """One mask is not used."""

        def scores(*given: Any) -> Tensor:
            given = [*given]
            given[which] = torch.ones_like(given[which])
            return _soft_scores(*given)

        return scores

    mistakes = [
        (lambda *a: alignment_scores(*a[:4]), "that is the hard maximum of eq. 8: the temperature is not in it"),
        (all_real(1), "padded regions take part: mask them before you sum"),
        (
            lambda v, m, s, w, t: (
                _soft_scores(v * m[..., None], m | True, s, w, t, False) - t * (w.sum(1) * m.sum(1)[:, None].log())
            ),
            "a padded region with product 0 still takes part: exp(0) is 1",
        ),
        (all_real(3), "padded words are summed: mask them before the sum over words"),
        (lambda *a: _soft_scores(*a, mean=False), "the mean over regions is missing: divide by their number R"),
        (
            lambda v, m, s, w, t: _soft_scores(v, m, s, w, t, False) - t * w.sum(1) * torch.tensor(m.shape[1]).log(),
            "R counts real regions, not padded ones",
        ),
        (
            lambda v, m, s, w, t: torch.full((len(v), len(s)), torch.inf),
            "exp is infinite where the temperature is small: take the largest product out of the sum first",
        ),
        (lambda *a: _soft_scores(*a) / a[4], "tau stands before the logarithm, too"),
        (lambda *a: _soft_scores(*a[:4], 1.0), "the temperature is given: use it"),
        (lambda *a: _soft_scores(*a).T, "rows and columns are exchanged: index order is (image, sentence)"),
    ]
    compare(yours, "the soft maximum", cases, _soft_scores, mistakes)


def _n_hardest(S: Tensor, ids: Tensor, margin: float, n: int, of: Tensor | None = None) -> Tensor:
    true, wrong = S.diagonal(), ids[:, None] != ids if of is None else of
    sentences = ((S - true[:, None] + margin).clamp(min=0) * wrong).topk(n, dim=1).values
    images = ((S - true[None] + margin).clamp(min=0) * wrong).topk(n, dim=0).values
    return (sentences.sum() + images.sum()) / n


@self_check
def check_n_hardest(yours: Callable[[Tensor, Tensor, float, int], Any]) -> None:
    """Chapter 7: `yours(scores, image_ids, margin, n)`, eq. 9 with the mean of the n hardest negatives, both ways."""
    generator = torch.Generator().manual_seed(3)
    ids = ([0, 1, 2, 3], [4, 4, 7, 9, 2], [3, 8, 3, 5, 1, 1], [5, 6, 7])
    rest = zip(ids, (1.0, 0.5, 2.0, 0.2), (2, 3, 2, 1), strict=True)
    cases = [(vectors(generator, len(own), len(own)), torch.tensor(own), margin, n) for own, margin, n in rest]

    def one_side(S: Tensor, ids: Tensor, m: float, n: int, dim: int) -> Tensor:
        true = S.diagonal()[:, None] if dim else S.diagonal()
        return ((S - true + m).clamp(min=0) * (ids[:, None] != ids)).topk(n, dim=dim).values.sum() / n

    mistakes = [
        (lambda S, ids, m, n: n * _n_hardest(S, ids, m, n), "the mean of the n hardest, not their sum"),
        (lambda S, ids, m, n: structured_loss(S, ids, m), "these are all negatives; keep the n hardest"),
        (lambda S, ids, m, n: hardest_negative_loss(S, ids, m), "that is the hardest one alone: n is not in it"),
        (
            lambda S, ids, m, n: _n_hardest(S, ids, m, n, ~torch.eye(len(S), dtype=torch.bool)),
            "two sentences of one picture are no negatives: mask by image id, not the diagonal alone",
        ),
        (
            lambda S, ids, m, n: _n_hardest(S, ids, m, n, torch.ones_like(S)),
            "the true pair is no negative: leave it out before you look for the hardest",
        ),
        (lambda *a: one_side(*a, 1), "wrong pictures of each sentence are missing"),
        (lambda *a: one_side(*a, 0), "wrong sentences of each picture are missing"),
        (lambda S, ids, m, n: _n_hardest(S, ids, 1.0, n), "the margin is given: use it"),
    ]
    compare(yours, "the n hardest", cases, _n_hardest, mistakes, trained=0)


def _breaks(u: Tensor) -> float:
    """The largest reward at which some path of several pieces is still worth what a single region is."""
    rows = torch.arange(len(u))
    paths = torch.cartesian_prod(*[torch.arange(u.shape[1])] * len(u))
    stays = (paths[:, 1:] == paths[:, :-1]).sum(1)
    several = stays < len(u) - 1
    more = u[rows, paths].sum(1)[several] - u.sum(0).max()
    return max(0.0, float((more / (len(u) - 1 - stays[several])).max()))


@self_check
def check_breaking_point(yours: Callable[[Tensor], Any]) -> None:
    """Chapter 9: `yours(u)`, the smallest beta from which on the best path is one region; to within 0.05."""
    generator = torch.Generator().manual_seed(5)
    cases = [scale * vectors(generator, *sizes) for scale, *sizes in ((1, 4, 3), (1, 6, 3), (3, 5, 4), (100, 5, 3))]
    cases.append(torch.tensor([[1.0, 0.0], [2.0, 0.5], [0.3, 0.1]]))  # one region without any reward
    for u in cases:
        found, right, spread = float(yours(u)), _breaks(u), float(u.std(correction=0))
        if abs(found - right) < 0.06:
            continue
        for wrong, hint in (
            (right / spread, "in the units of u, not in spreads"),
            (right * spread, "in the units of u, not in spreads"),
            (64.0, "the interval ends too early: between which numbers must beta lie, whatever u is?"),
            (-right, "a reward is not negative"),
            (0.0, "with a reward of 0 this one falls into several pieces: which half of the interval do you keep?"),
            (float(u.max() - u.min()) * len(u), "that is a beta large enough, not the smallest"),
        ):
            if abs(found - wrong) < 0.06:
                raise AssertionError(hint)
        near = "halve the interval more often" if abs(found - right) < 0.3 else f"wanted {right:.2f}"
        raise AssertionError(f"yours gives {found:.2f}: {near}")
    print(f"breaking_point: right, {len(cases)} random examples agree with all paths, tried one by one")


DRAWS = 1500


@self_check
def check_draw_path(yours: Callable[[Tensor, float, torch.Generator], Sequence[int]]) -> None:
    """Chapter 9: `yours(u, beta, generator)` draws one path, a region for each word, with P(a) ~ exp(value of a)."""
    for u, beta in (
        (torch.tensor([[1.5, 0.0], [0.0, 0.3], [0.0, 1.0]]), 1.5),
        (torch.tensor([[0.0, 0.5, 1.0], [0.8, 0.0, 0.3]]), 0.7),
    ):
        words, regions = u.shape
        paths = list(product(range(regions), repeat=words))
        each = torch.nn.functional.one_hot(torch.tensor(paths), regions)  # [paths, words, regions]
        stays = torch.tensor([sum(map(int.__eq__, a, a[1:])) for a in paths])
        right = ((each * u).sum((1, 2)) + beta * stays).softmax(0)
        drawn: Counter[tuple[int, ...]] = Counter()

        def draw(generator: torch.Generator, u: Tensor = u, beta: float = beta) -> tuple[int, ...]:
            return tuple(int(region) for region in yours(u, beta, generator))

        generator = torch.Generator().manual_seed(0)
        for number in range(DRAWS):
            again = torch.Generator().set_state(generator.get_state())
            path = draw(generator)
            if path not in paths:
                raise AssertionError(f"wanted one of {regions} regions for each of {words} words, got {path}")
            if number < 20 and path != draw(again):
                raise AssertionError("the same generator must draw the same path: hand it to whatever draws")
            drawn[path] += 1
        found = torch.tensor([drawn[path] / DRAWS for path in paths])
        if (found - right).abs().max() < 0.06:
            continue
        if len(drawn) == 1:
            raise AssertionError(
                "every path is the same: draw, do not take the best; and draw with the generator, as it is"
            )
        marginals = (right[:, None, None] * each).sum(0)
        alone, plain = ((each * rows).sum(2).prod(1) for rows in (marginals, u.softmax(1)))
        turned = right[[paths.index(path[::-1]) for path in paths]]
        for wrong, hint in (
            (turned, "the path is back to front: you draw the last word first"),
            (plain, "every word is drawn for itself: beta is not in it"),
            (alone, "each word is drawn from its marginal, by itself; given the word behind it, it must be drawn anew"),
        ):
            if (found - wrong).abs().max() < 0.06:
                raise AssertionError(hint)
        most = int((found - right).abs().argmax())
        raise AssertionError(
            f"the path {paths[most]} should come in {100 * right[most]:.0f} % of the draws, yours gives "
            f"{100 * found[most]:.0f} %"
        )
    print(f"draw_path: right, {DRAWS} paths come as often as they should")


def _in_nucleus(log_y: Tensor, p: float, shift: int = 0, down: bool = True) -> Tensor:
    y, words = log_y.exp().sort(dim=1, descending=down)
    kept = ((y.cumsum(1) - y) < p).sum(1, keepdim=True) + shift
    return torch.zeros_like(log_y, dtype=torch.bool).scatter(1, words, torch.arange(y.shape[1]) < kept)


@self_check
def check_in_nucleus(yours: Callable[[Tensor, float], Tensor]) -> None:
    """Chapter 11: `yours(log_y, p)`, True for the fewest words of each row [rows, V] that hold p together."""
    generator = torch.Generator().manual_seed(4)
    sizes = ((3, 8, 0.6), (1, 9, 0.8), (4, 5, 0.95), (2, 7, 0.05))
    cases = [(vectors(generator, rows, V), p) for rows, V, p in sizes]
    cases = [(part.log_softmax(1), p) for part, p in cases]
    mistakes = [
        (lambda y, p: _in_nucleus(y, 0.8), "p is given: use it"),
        (lambda y, p: _in_nucleus(y, p, -1), "one word too few: the word that reaches p is in, and so is the best one"),
        (lambda y, p: _in_nucleus(y, p, 1), "one word too many: what is before the word counts, not the word itself"),
        (lambda y, p: _in_nucleus(y, p, down=False), "these are the least probable words: sort from the top"),
        (lambda y, p: y.exp() >= p, "p is a share of the sum, not a threshold for each word"),
        (lambda y, p: y < 0, "every word is in: p is a share of probabilities, and these are logarithms"),
        (lambda y, p: ~_in_nucleus(y, p), "that is the tail: True for the words that may be drawn"),
        (
            lambda y, p: torch.arange(y.shape[1]) < _in_nucleus(y, p).sum(1, keepdim=True),
            "True stands at the ranks, not at the words: go back from the sorted order",
        ),
    ]
    compare(yours, "the nucleus", cases, _in_nucleus, mistakes)
