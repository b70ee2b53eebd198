"""Self-checks of the tables, scores and paths that exercises ask for (chapters 1, 2, 4, 6 to 10, 13 and 16).

As those of `exercises`: each takes your function and tries it on random input beside a right one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import Any

import torch
from torch import Tensor

from vsa_lite.alignment.losses import structured_loss
from vsa_lite.alignment.scores import alignment_scores
from vsa_lite.checks import self_check
from vsa_lite.checks.comparing import compare, ragged, vectors


@self_check
def check_rarity(yours: Callable[[str, list[list[str]]], float]) -> None:
    """Chapter 1: `yours(word, sentences)` is log(sentences / sentences with the word), of sentences as tokens."""
    texts = "the cat on the mat|a cat|the dog and the dog|a bus|the red bus on the road", "the the|the cat|a a a"
    few, two = ([line.split() for line in text.split("|")] for text in texts)
    cases = [*((word, few) for word in ("the", "cat", "dog", "on")), ("a", two), ("the", two)]

    def with_it(word: str, sentences: list[list[str]]) -> int:
        return sum(word in tokens for tokens in sentences)

    def times(word: str, sentences: list[list[str]]) -> int:
        return sum(tokens.count(word) for tokens in sentences)

    mistakes = [
        (lambda w, s: math.log(len(s) / times(w, s)), "count sentences with the word, each once, not its occurrences"),
        (lambda w, s: math.log(sum(map(len, s)) / times(w, s)), "sentences are counted, not words"),
        (lambda w, s: len(s) / with_it(w, s), "the logarithm is missing"),
        (lambda w, s: math.log(with_it(w, s) / len(s)), "turn the fraction over: what is rare counts for much"),
        (lambda w, s: math.log(len(s) / (1 + with_it(w, s))), "nothing is added: the word is in some sentence"),
        (lambda w, s: math.log2(len(s) / with_it(w, s)), "the natural logarithm"),
        (lambda w, s: math.log10(len(s) / with_it(w, s)), "the natural logarithm"),
    ]
    compare(yours, "rarity", cases, lambda w, s: math.log(len(s) / with_it(w, s)), mistakes)


def _surplus(together: Tensor, K: float, axes: tuple = (1, 0)) -> Tensor:
    P = together / together.sum()
    return (P / (P.sum(axes[0], keepdim=True) * P.sum(axes[1], keepdim=True))).log() - math.log(K)


def _positive(table: Tensor) -> Tensor:
    return table.nan_to_num(nan=0, neginf=0).clamp(min=0)


@self_check
def check_surplus(yours: Callable[[Tensor, float], Tensor]) -> None:
    """Chapter 2: `yours(together, K)`, max(0, log P(a, b) / (P(a) P(b)) - log K) of counts [words, words]."""
    generator = torch.Generator().manual_seed(0)
    cases = []
    for words, K in ((5, 1.0), (6, 2.0), (4, 1.5)):
        counts = torch.randint(0, 6, (words, words), generator=generator).float()
        counts[0] = counts[:, 1] = 0  # words that never stand in this place
        cases.append((counts, K))
    mistakes = [
        (lambda t, K: _positive(_surplus(t, 1.0)), "log K is missing"),
        (lambda t, K: _surplus(t, K), "set what is negative to zero, minus infinity too"),
        (lambda t, K: _surplus(t, K).clamp(min=0), "0 / 0 is no number: set it to zero, too"),
        (lambda t, K: _positive(_surplus(t, K) / math.log(2)), "the natural logarithm"),
        (
            lambda t, K: torch.zeros_like(t),
            "nothing is left: P(a, b) / (P(a) P(b)), all three as shares of all couples",
        ),
        (lambda t, K: _positive(_surplus(t, K, (1, 1))), "P(b) is that of columns: sum over rows"),
    ]
    compare(yours, "surplus", cases, lambda t, K: _positive(_surplus(t, K)), mistakes)


def _cka(A: Tensor, B: Tensor, centre: int | None = 0, power: int = 2) -> Tensor:
    if centre is not None:
        A, B = A - A.mean(centre, keepdim=True), B - B.mean(centre, keepdim=True)
    return (A.T @ B).norm() ** power / ((A.T @ A).norm() * (B.T @ B).norm())


def _gram(A: Tensor) -> Tensor:
    return ((A - A.mean(0)).T @ (A - A.mean(0))).norm()


@self_check
def check_cka(yours: Callable[[Tensor, Tensor], Any]) -> None:
    """Chapter 4: `yours(A, B)`, linear CKA of vectors A [pictures, p] and B [pictures, q]: one number."""
    generator = torch.Generator().manual_seed(1)
    cases = [
        tuple(vectors(generator, n, size) + 1.5 for size in sizes) for n, *sizes in ((7, 3, 5), (9, 4, 2), (6, 5, 5))
    ]
    mistakes = [
        (lambda A, B: _cka(A, B, None), "centre the vectors first: take the mean over pictures from both"),
        (lambda A, B: _cka(A, B, 1), "the mean over pictures, not over channels"),
        (lambda A, B: _cka(A, B, 0, 1), "the norm above the line is squared"),
        (lambda A, B: ((A - A.mean(0)).T @ (B - B.mean(0))).norm() ** 2, "divide by the norms of both with themselves"),
        (
            lambda A, B: _cka(A, B) * _gram(A) * _gram(B) / (A - A.mean(0)).norm() ** 2 / (B - B.mean(0)).norm() ** 2,
            "below the line stand the norms of products of A with A, and of B with B",
        ),
        (lambda A, B: _cka(A, B) ** 0.5, "no root"),
        (lambda A, B: 1 - _cka(A, B), "that is how different they are; CKA is 1 for what is equal"),
    ]
    compare(yours, "CKA", cases, _cka, mistakes)


def _both_ways(v: Tensor, region_mask: Tensor, s: Tensor, word_mask: Tensor, weight: float) -> Tensor:
    products = torch.einsum("kih,lth->klti", v, s).masked_fill(~word_mask[:, :, None], -torch.inf)
    best = products.amax(2).masked_fill(~region_mask[:, None], 0).sum(-1) / region_mask.sum(1)[:, None]
    return alignment_scores(v, region_mask, s, word_mask) + weight * best


@self_check
def check_both_ways(yours: Callable[[Tensor, Tensor, Tensor, Tensor, float], Any]) -> None:
    """Chapter 6: `yours(v, region_mask, s, word_mask, weight)`, eq. 8 + weight * mean of every region's best word."""
    generator, cases = torch.Generator().manual_seed(2), []
    for images, regions, sentences, words, h, weight in (
        (3, 4, 2, 5, 6, 0.5),
        (2, 5, 4, 3, 3, 2.0),
        (4, 3, 5, 6, 2, 1.0),
    ):
        region_mask, word_mask = ragged(generator, images, regions), ragged(generator, sentences, words)
        v, s = vectors(generator, images, regions, h), vectors(generator, sentences, words, h)
        v, s = v.masked_fill(~region_mask[..., None], 2.0), s.masked_fill(~word_mask[..., None], -2.0)
        cases.append((v, region_mask, s, word_mask, weight))

    def more(v: Tensor, m: Tensor, s: Tensor, w: Tensor, weight: float, regions: Tensor, words: Tensor) -> Tensor:
        """With other masks in the second part."""
        return (
            alignment_scores(v, m, s, w)
            + _both_ways(v, regions, s, words, weight)
            - alignment_scores(v, regions, s, words)
        )

    mistakes = [
        (lambda v, m, s, w, a: alignment_scores(v, m, s, w), "the regions are not asked: that is eq. 8 alone"),
        (lambda v, m, s, w, a: _both_ways(v, m, s, w, 1.0), "the weight is given: use it"),
        (lambda v, m, s, w, a: more(v, m, s, w, a, m | True, w), "padded regions take part in the mean"),
        (lambda v, m, s, w, a: more(v, m, s, w, a, m, w | True), "padded words take part in the maximum"),
        (
            lambda v, m, s, w, a: (
                alignment_scores(v, m, s, w)
                + a * m.sum(1)[:, None] * (_both_ways(v, m, s, w, 1.0) - alignment_scores(v, m, s, w))
            ),
            "the mean over regions, not the sum",
        ),
        (lambda v, m, s, w, a: a * (_both_ways(v, m, s, w, 1.0) - alignment_scores(v, m, s, w)), "eq. 8 is missing"),
        (lambda v, m, s, w, a: a * _both_ways(v, m, s, w, 1.0), "the weight belongs to the second part alone"),
        (lambda *a: _both_ways(*a).T, "rows and columns are exchanged: index order is (image, sentence)"),
    ]
    compare(yours, "both ways", cases, _both_ways, mistakes)


def _by_meaning(S: Tensor, ids: Tensor, tokens: list, margin: float, keep: Callable | None = None) -> Tensor:
    true = S.diagonal()
    both = (S - true[:, None] + margin).clamp(min=0) + (S - true + margin).clamp(min=0)
    equal = torch.tensor([[one == other for other in tokens] for one in tokens])
    return (both * (((ids[:, None] != ids) & ~equal) if keep is None else keep(ids[:, None] != ids, ~equal))).sum()


@self_check
def check_masked_by_meaning(yours: Callable[[Tensor, Tensor, list, float], Any]) -> None:
    """Chapter 7: `yours(S, image_ids, tokens, margin)`, eq. 9 without couples of one picture or of equal sentences."""
    generator = torch.Generator().manual_seed(3)
    ids, said = ([0, 1, 1, 3], [4, 4, 7, 9, 2]), ([[1, 2], [1, 2], [3, 4], [2, 1]], [[5], [6, 7], [5], [8], [8]])
    cases = [
        (vectors(generator, len(i), len(i)), torch.tensor(i), t, m)
        for i, t, m in zip(ids, said, (1.0, 0.5), strict=True)
    ]
    cases.append((vectors(generator, 3, 3), torch.arange(3), [[1], [1], [1]], 1.0))
    mistakes = [
        (lambda S, i, t, m: structured_loss(S, i, m), "couples with equal sentences still count"),
        (lambda S, i, t, m: _by_meaning(S, i, t, m, lambda a, b: b), "couples of one picture count still"),
        (lambda S, i, t, m: _by_meaning(S, i, t, m, lambda a, b: a | b), "one reason is enough to leave a couple out"),
        (lambda S, i, t, m: _by_meaning(S, i, t, m, lambda a, b: ~b & a), "those are the couples to leave out"),
        (
            lambda S, i, t, m: _by_meaning(S, i, [sorted(x) for x in t], m),
            "equal means the same words in the same order",
        ),
        (lambda S, i, t, m: _by_meaning(S, i, [len(x) for x in t], m), "equally long is not equal"),
        (lambda S, i, t, m: _by_meaning(S, i, t, 1.0), "the margin is given: use it"),
        (lambda S, i, t, m: _by_meaning(S, i, t, m) / len(S), "a sum, not a mean"),
    ]
    compare(yours, "masked by meaning", cases, _by_meaning, mistakes, trained=0)


@self_check
def check_expected_couples(yours: Callable[[int, int], float]) -> None:
    """Chapter 7: `yours(B, N)`, the couples of one picture to expect among B sentences of N pictures, five each."""
    cases = [(4, 3), (10, 50), (100, 600), (40, 40)]
    mistakes = [
        (lambda B, N: B * (B - 1) * 4 / (5 * N - 1), "each couple is counted twice: a with b is b with a"),
        (lambda B, N: B * (B - 1) / 2 * 5 / (5 * N - 1), "a sentence is no partner of its own: four others are left"),
        (lambda B, N: B * (B - 1) / 2 * 4 / (5 * N), "the other one is drawn from what is left: 5 N - 1 sentences"),
        (lambda B, N: B * (B - 1) / 2 / N, "a sentence is drawn once: of its picture four are left, of all 5 N - 1"),
        (lambda B, N: B * B / 2 * 4 / (5 * N - 1), "a sentence makes no couple with itself: B (B - 1) / 2 of them"),
        (lambda B, N: B * 4 / (5 * N - 1), "couples, not sentences: there are B (B - 1) / 2"),
        (lambda B, N: 4 / (5 * N - 1), "that is the probability for one couple"),
    ]
    compare(yours, "expected couples", cases, lambda B, N: B * (B - 1) / 2 * 4 / (5 * N - 1), mistakes)


@self_check
def check_mean_reciprocal_rank(yours: Callable[[Tensor], Any]) -> None:
    """Chapter 8: `yours(ranks)`, the mean of 1 / rank in percent, of whole numbers from 1."""
    generator = torch.Generator().manual_seed(4)
    cases = [(torch.randint(1, 40, (n,), generator=generator),) for n in (5, 12, 30)] + [(torch.tensor([1, 1, 2]),)]
    mistakes = [
        (lambda r: 1 / r.double().mean() * 100, "the mean of 1 / rank, not 1 / the mean rank"),
        (lambda r: (1 / r.double()).mean(), "in percent"),
        (lambda r: 100 / r.double().quantile(0.5), "the mean, not the median"),
        (lambda r: 100 * (1 / (r + 1.0)).mean(), "ranks begin at 1 here: nothing is added"),
        (lambda r: 100 * (1 / r).sum(), "the mean, not the sum"),
        (lambda r: 100 * (1 / r * (r <= 10)).mean(), "every rank counts, also one past ten"),
        (lambda r: 100 * (r <= 1).double().mean(), "that is R@1: a rank of 2 counts a half here"),
    ]
    compare(yours, "the mean reciprocal rank", cases, lambda r: 100 * (1 / r.double()).mean(), mistakes)


@self_check
def check_share_out(yours: Callable[[Tensor, float], Tensor]) -> None:
    """Chapter 8: `yours(S, scale)`, the logarithm of softmax(scale S) of each picture over all sentences."""
    generator = torch.Generator().manual_seed(5)
    cases = [(vectors(generator, 3, 5), 2.0), (vectors(generator, 4, 4), 5.0), (vectors(generator, 2, 6), 200.0)]
    mistakes = [
        (lambda S, a: (a * S).log_softmax(0), "each picture shares itself out: over sentences, not over pictures"),
        (lambda S, a: (a * S).softmax(1), "the logarithm of it: shares of nearly 0 could not be told apart"),
        (lambda S, a: S.log_softmax(1), "the scale is given: use it"),
        (lambda S, a: (a * S).flatten().log_softmax(0).view_as(S), "each picture by itself, not all scores together"),
        (lambda S, a: a * S - a * S.mean(1, keepdim=True), "the logarithm of a sum of exponentials, not the mean"),
        (lambda S, a: a * S.log_softmax(1), "the scale stands inside: before the exponential"),
        (lambda S, a: a * S - a * S.amax(1, keepdim=True), "shares sum to 1: the maximum alone is not their sum"),
        (
            lambda S, a: a * S - (a * S).exp().sum(1, keepdim=True).log(),
            "exp of a large number is infinite: logsumexp takes the largest out first",
        ),
    ]
    compare(yours, "shared out", cases, lambda S, a: (a * S).log_softmax(1), mistakes)


def _linked(u: Tensor, betas: Sequence[float]) -> list[int]:
    """The best of all paths, tried one by one."""
    paths = product(range(u.shape[1]), repeat=len(u))
    stays = lambda a: sum(b for b, (i, j) in zip(betas, pairwise(a), strict=True) if i == j)  # noqa: E731
    return [*max(paths, key=lambda a: float(u[range(len(u)), a].sum()) + stays(a))]


def _links(generator: torch.Generator, words: int, regions: int) -> tuple[Tensor, list[float]]:
    return vectors(generator, words, regions), (2.5 * torch.rand(words - 1, generator=generator) ** 2).tolist()


@self_check
def check_viterbi_links(yours: Callable[[Tensor, list[float]], Sequence[int]]) -> None:
    """Chapter 9: `yours(u, betas)`, the best path where words j and j + 1 have a reward of their own, betas[j]."""
    generator = torch.Generator().manual_seed(6)
    own = "each couple of neighbours has its own reward: betas[0] is that of the first and the second word"
    cases = [_links(generator, *sizes) for sizes in [(4, 3), (6, 3), (5, 4), (6, 2)] * 3]
    mistakes = [
        (lambda u, b: u.argmax(1).tolist(), "every word chooses for itself: the rewards are not in it"),
        (lambda u, b: _linked(u, [sum(b) / len(b)] * len(b)), own),
        (lambda u, b: _linked(u, b[:1] * len(b)), own),
        (lambda u, b: _linked(u, [*b[1:], 0.0]), own),
        (lambda u, b: _linked(u, b[::-1]), own),
        (lambda u, b: _linked(u, b)[::-1], "the path is back to front"),
        (lambda u, b: _linked(u, [-x for x in b]), "a reward for staying is added, not taken off"),
    ]
    compare(yours, "viterbi_links", cases, _linked, mistakes)


def _followers(sentences: list[list[int]], V: int, more: float = 0.1, start: bool = True, end: bool = True) -> Tensor:
    table = torch.full((V + 1, V), more)
    for tokens in sentences:
        for one, other in pairwise([V] * start + tokens + [0] * end):
            table[one, other] += 1
    return (table / table.sum(1, keepdim=True)).log()


@self_check
def check_followers(yours: Callable[[list[list[int]], int], Tensor]) -> None:
    """Chapter 10: `yours(sentences, V)`, log P(next word | word) [V + 1, V] of counted couples, each count 0.1 more."""
    cases = [([[1, 2, 3], [1, 2], [3, 2, 2]], 5), ([[4, 1], [1, 1, 1]], 6), ([[2, 1, 2, 1]], 3)]
    mistakes = [
        (lambda s, V: _followers(s, V, start=False), "START is missing: it stands before the first word, in row V"),
        (lambda s, V: _followers(s, V, end=False), "END is missing: word 0 follows the last one"),
        (lambda s, V: _followers(s, V, 1.0), "add a tenth, not one"),
        (lambda s, V: _followers(s, V, 0.0), "add a tenth to every count: what was never seen may come still"),
        (lambda s, V: _followers(s, V).exp(), "the logarithm is missing"),
        (lambda s, V: _followers(s, V).exp().div(V + 1).log(), "each row by itself: its probabilities sum to 1"),
        (lambda s, V: _followers([t[::-1] for t in s], V), "that is what stands before a word"),
        (lambda s, V: _followers(s, V)[:V], "one row more than words: the last one is what follows START"),
    ]
    compare(yours, "followers", cases, _followers, mistakes)


@self_check
def check_entropy(yours: Callable[[Tensor], Tensor]) -> None:
    """Chapter 13: `yours(alpha)`, - sum over regions of alpha log alpha, [pairs, words] of [pairs, words, regions]."""
    generator, cases = torch.Generator().manual_seed(7), []
    for sizes in ((2, 3, 4), (3, 2, 5), (1, 4, 3)):
        alpha = (2 * vectors(generator, *sizes)).softmax(-1)
        alpha[0, 0] = torch.nn.functional.one_hot(torch.tensor(1), sizes[-1])  # quite sure
        alpha[-1, -1] = 0  # padded
        cases.append((alpha,))

    def inside(a: Tensor) -> Tensor:
        return torch.special.entr(a)

    mistakes = [
        (lambda a: -(a * a.log()).sum(-1), "0 log 0 counts 0: log 0 is minus infinity, and 0 times that is no number"),
        (lambda a: -inside(a).sum(-1), "the sign: entropy is not negative"),
        (lambda a: inside(a).mean(-1), "the sum over regions, not the mean"),
        (lambda a: inside(a).sum(-1) / math.log(2), "the natural logarithm"),
        (lambda a: inside(a).sum(1), "the sum over regions, the last index"),
        (lambda a: inside(a).sum(-1).exp(), "that is the exponential of it"),
        (lambda a: inside(a).sum(), "one number for each word"),
        (lambda a: -a.clamp(min=1e-9).log().sum(-1), "each logarithm counts as much as its alpha"),
        (lambda a: 1 - a.amax(-1), "that says how far the largest is from 1; every region counts"),
    ]
    compare(yours, "entropy", cases, lambda a: inside(a).sum(-1), mistakes)


def _by_two(words: Tensor, codewords: Tensor, table: Tensor, clamp: bool = True) -> Tensor:
    nearest = (words @ codewords.T).topk(2).indices
    shares = torch.linalg.lstsq(codewords[nearest].mT, words[..., None]).solution[..., 0]
    return (table[:, nearest] * (shares.clamp(min=0) if clamp else shares)).sum((1, 2))


@self_check
def check_estimate_by_two(yours: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """Chapter 16: `yours(words, codewords, table)`, scores [pictures] from the two nearest codewords of each word."""
    generator, cases = torch.Generator().manual_seed(8), []
    for count, h, codes, pictures in ((5, 6, 7, 4), (8, 4, 9, 3), (4, 8, 5, 6)):
        codewords = torch.nn.functional.normalize(vectors(generator, codes, h) + 0.4, dim=1)
        words = vectors(generator, count, h) + codewords[torch.randint(codes, (count,), generator=generator)]
        words[0] = 2.3 * codewords[0] - 0.2 * codewords[1]
        cases.append((words, codewords, vectors(generator, pictures, codes)))

    def shares_of(kind: str) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        def scores(words: Tensor, codewords: Tensor, table: Tensor) -> Tensor:
            share, nearest = (words @ codewords.T).topk(2)
            share = {"products": share, "softmax": share.softmax(1), "mean": torch.full_like(share, 0.5)}[kind]
            return (table[:, nearest] * share).sum((1, 2))

        return scores

    def one(words: Tensor, codewords: Tensor, table: Tensor) -> Tensor:
        share, nearest = (words @ codewords.T).max(1)
        return table[:, nearest] @ share

    mistakes = [
        (one, "that is the nearest codeword alone: take two"),
        (shares_of("products"), "two codewords that are alike count twice so: solve for both shares at once"),
        (shares_of("softmax"), "shares explain the word: least squares, not a softmax"),
        (shares_of("mean"), "shares explain the word: least squares, not a half each"),
        (lambda *a: _by_two(*a, clamp=False), "a share below 0 would turn the best region into the worst: set it to 0"),
        (lambda *a: _by_two(*a) / len(a[0]), "a sum over words, not a mean"),
        (
            lambda w, c, t: _by_two(w, c, t) + (t - t).sum() + t[:, (w @ c.T).topk(2).indices].sum((1, 2)),
            "the shares are the weights of the table's numbers",
        ),
    ]
    compare(yours, "estimate_by_two", cases, _by_two, mistakes)
