"""Self-checks of chapters 6 to 9: scores, losses, ranks and the chain.

Each takes your function, tries it on random input beside the package's own, and says that it is right or raises an
AssertionError. Where your answer is one of the usual mistakes, the error says which. A function that raises
NotImplementedError is still to be written, and that is no error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from vsa_lite.alignment.chain import best_path, marginals
from vsa_lite.alignment.losses import contrastive_loss, hardest_negative_loss, structured_loss
from vsa_lite.alignment.scores import SMOOTHING, alignment_scores
from vsa_lite.checks import self_check
from vsa_lite.checks.comparing import compare, ragged, vectors
from vsa_lite.evaluation.ranking import rank_scores

# chapter 6


def _one_pair(v: Tensor, s: Tensor, score: str) -> Tensor:
    masks = [torch.ones(1, len(part), dtype=torch.bool) for part in (v, s)]
    return alignment_scores(v[None], masks[0], s[None], masks[1], score)[0, 0]


def _some_pairs() -> list[tuple]:
    generator = torch.Generator().manual_seed(0)
    sizes = ((4, 3, 5), (2, 6, 3), (1, 1, 2), (7, 2, 4))
    return [(vectors(generator, regions, h), vectors(generator, words, h)) for regions, words, h in sizes]


@self_check
def check_fragment_score(yours: Callable[[Tensor, Tensor], Any]) -> None:
    """Eq. 7: `yours(v, s)` of regions v [regions, h] and words s [words, h] gives one number."""
    mistakes = [
        (lambda v, s: (s @ v.T).sum(), "you forgot max(0, .): eq. 7 counts only the positive products"),
        (lambda v, s: (s @ v.T).sum().clamp(min=0), "max(0, .) goes around every product, not around their sum"),
        (lambda v, s: (s @ v.T).abs().sum(), "negative products count 0 in eq. 7, not their absolute value"),
        (lambda v, s: _one_pair(v, s, "max"), "that is eq. 8; eq. 7 sums over regions, too"),
        (lambda v, s: (s @ v.T).clamp(min=0), "you have the products; sum them over words and regions"),
    ]
    compare(yours, "eq. 7", _some_pairs(), lambda v, s: _one_pair(v, s, "sum"), mistakes)


@self_check
def check_score(yours: Callable[[Tensor, Tensor], Any]) -> None:
    """Eq. 8: `yours(v, s)` of regions v [regions, h] and words s [words, h] gives one number."""
    mistakes = [
        (lambda v, s: (s @ v.T).sum(), "you summed over regions; eq. 8 takes the max"),
        (lambda v, s: _one_pair(v, s, "sum"), "that is eq. 7: you summed over regions; eq. 8 takes the max"),
        (lambda v, s: (v @ s.T).amax(1).sum(), "you took the max over words; eq. 8 takes it over regions"),
        (lambda v, s: (s @ v.T).max(), "one maximum of everything: eq. 8 takes one for each word, and sums them"),
        (lambda v, s: (s @ v.T).amax(1), "you have the best product of every word; sum them"),
        (lambda v, s: (s @ v.T).amax(1).mean(), "you took the mean over words; eq. 8 as printed sums them"),
        (
            lambda v, s: (s @ v.T).amax(1).clamp(min=0).sum(),
            "max(0, .) belongs to eq. 7; in eq. 8 words may count negative",
        ),
        (lambda v, s: (s @ v.T).argmax(1).sum(), "you summed the regions' numbers (argmax); sum their products (max)"),
    ]
    compare(yours, "eq. 8", _some_pairs(), lambda v, s: _one_pair(v, s, "max"), mistakes)


def _padded_scores(v: Tensor, region_mask: Tensor, s: Tensor, word_mask: Tensor, regions: float | None, words: bool):
    """Eq. 8 with padded regions set to a number before the maximum (or left alone), padded words dropped or not."""
    products = torch.einsum("kih,lth->klti", v, s)
    if regions is not None:
        products = products.masked_fill(~region_mask[:, None, None], regions)
    best = products.amax(-1)
    return (best.masked_fill(~word_mask, 0) if words else best).sum(-1)


@self_check
def check_scores(yours: Callable[[Tensor, Tensor, Tensor, Tensor], Any]) -> None:
    """Eq. 8 of everything: `yours(v, region_mask, s, word_mask)` gives S [images, sentences].

    v [images, regions, h] and s [sentences, words, h] hold rubbish where the masks are False.
    """
    generator = torch.Generator().manual_seed(1)
    cases = []
    for images, regions, sentences, words, h in ((3, 4, 2, 5, 6), (2, 5, 4, 3, 3), (4, 3, 4, 6, 5)):
        region_mask, word_mask = ragged(generator, images, regions), ragged(generator, sentences, words)
        v, s = vectors(generator, images, regions, h), vectors(generator, sentences, words, h)
        v, s = v.masked_fill(~region_mask[..., None], 9.0), s.masked_fill(~word_mask[..., None], -7.0)
        cases.append((v, region_mask, s, word_mask))
    mistakes = [
        (lambda *a: _padded_scores(*a, None, False), "you used no mask: padded regions and padded words count"),
        (lambda *a: _padded_scores(*a, None, True), "a padded region can win the max: mask regions *before* the max"),
        (lambda *a: _padded_scores(*a, -torch.inf, False), "padded words are summed: mask words *before* the sum"),
        (
            lambda *a: _padded_scores(*a, 0.0, True),
            "you set padded regions to 0, and 0 beats every negative product: use -inf before the max",
        ),
        (lambda *a: alignment_scores(*a).T, "rows and columns are exchanged: index order is (image, sentence)"),
        (lambda *a: alignment_scores(*a, "max", "mean"), "you divided by the number of words; eq. 8 sums them"),
    ]
    compare(yours, "eq. 8 with masks", cases, alignment_scores, mistakes)


@self_check
def check_smooth(yours: Callable[[Tensor, Tensor], Any]) -> None:
    """`smooth`: `yours(scores, lengths)` divides S [images, sentences] by words + 10."""
    generator = torch.Generator().manual_seed(2)
    sizes = ((2, 3), (4, 5), (6, 2))
    cases = [(vectors(generator, k, n), torch.randint(1, 20, (n,), generator=generator)) for k, n in sizes]
    mistakes = [
        (lambda S, n: S / n, "that is `mean`; `smooth` divides by words + 10"),
        (lambda S, n: S / n + SMOOTHING, "the 10 belongs below the line: divide by (words + 10)"),
    ]
    compare(yours, "smooth", cases, lambda S, n: S / (n + SMOOTHING), mistakes)


# chapter 7


def _some_scores() -> list[tuple]:
    """Scores, image ids and a margin; the first batch has two sentences of one picture."""
    generator = torch.Generator().manual_seed(3)
    cases = []
    for ids, margin in (([4, 4, 7, 9], 1.0), ([0, 1, 2], 0.5), ([3, 8, 3, 3, 5], 2.0), ([1, 2, 6, 9, 1], 0.2)):
        cases.append((vectors(generator, len(ids), len(ids)), torch.tensor(ids), margin))
    return cases


def _hinges(scores: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    true = scores.diagonal()
    return (scores - true[:, None] + margin).clamp(min=0), (scores - true[None, :] + margin).clamp(min=0)


def _off_diagonal(scores: Tensor) -> Tensor:
    return ~torch.eye(len(scores), dtype=torch.bool)


@self_check
def check_structured_loss(yours: Callable[[Tensor, Tensor, float], Any]) -> None:
    """Eq. 9: `yours(scores, image_ids, margin)` gives one number; pairs of one picture are no negatives."""

    def one_side(which: int) -> Callable:
        return lambda S, ids, m: (_hinges(S, m)[which] * (ids[:, None] != ids)).sum()

    mistakes = [
        (
            lambda S, ids, m: sum(_hinges(S, m)).sum(),
            "l = k is included, as printed: it adds 2 margins a pair and no gradient; mask all pairs of one picture",
        ),
        (
            lambda S, ids, m: (sum(_hinges(S, m)) * _off_diagonal(S)).sum(),
            "you masked the diagonal only: two sentences of one picture are no negatives, mask by image id",
        ),
        (one_side(0), "only the first term: wrong sentences for a picture; add wrong pictures for a sentence"),
        (one_side(1), "only the second term: wrong pictures for a sentence; add wrong sentences for a picture"),
        (
            lambda S, ids, m: (sum(_hinges(S, -m)) * (ids[:, None] != ids)).sum(),
            "the margin has the wrong sign: a wrong pair must lose by it, so it is added to S_kl - S_kk",
        ),
        (
            lambda S, ids, m: structured_loss(-S, ids, m),
            "S_kl and S_kk are exchanged: the wrong pair less the true one, plus the margin",
        ),
        (lambda S, ids, m: structured_loss(S, ids, 1.0), "you used margin 1 where another one was given"),
        (lambda S, ids, m: structured_loss(S, ids, m) / len(S), "eq. 9 is a sum over the batch, not its mean"),
    ]
    compare(yours, "eq. 9", _some_scores(), structured_loss, mistakes, trained=0)


@self_check
def check_hardest_negative_loss(yours: Callable[[Tensor, Tensor, float], Any]) -> None:
    """VSE++: `yours(scores, image_ids, margin)` keeps one wrong sentence and one wrong picture of each pair."""

    def both_rows(S: Tensor, ids: Tensor, m: float) -> Tensor:
        sentences, images = ((hinge * (ids[:, None] != ids)) for hinge in _hinges(S, m))
        return sentences.amax(1).sum() + images.amax(1).sum()

    def diagonal(S: Tensor, ids: Tensor, m: float) -> Tensor:
        sentences, images = ((hinge * _off_diagonal(S)) for hinge in _hinges(S, m))
        return sentences.amax(1).sum() + images.amax(0).sum()

    mistakes = [
        (structured_loss, "you summed over all wrong pairs; keep the hardest one"),
        (both_rows, "wrong pictures of a sentence stand in a column: take that maximum over rows (dimension 0)"),
        (diagonal, "you masked the diagonal only: the hardest negative must not be of the same picture"),
    ]
    compare(yours, "hardest negatives", _some_scores(), hardest_negative_loss, mistakes, trained=0)


@self_check
def check_contrastive_loss(yours: Callable[[Tensor, Tensor, float], Any]) -> None:
    """InfoNCE: `yours(scores, image_ids, scale)` gives one number, summed over the batch."""
    mistakes = [
        (lambda S, ids, a: 2 * contrastive_loss(S, ids, a), "halve the sum of the two directions"),
        (lambda S, ids, a: contrastive_loss(S, ids, a) / len(S), "sum over the batch; this is its mean"),
        (lambda S, ids, a: contrastive_loss(S, ids, 1.0), "you left out the scale"),
        (
            lambda S, ids, a: contrastive_loss(S, torch.arange(len(ids)), a),
            "other sentences of the same picture stand in your softmax: set their scores to -inf",
        ),
    ]
    compare(yours, "contrastive", _some_scores(), contrastive_loss, mistakes, trained=0)


# chapter 8


def _some_rankings() -> list[tuple]:
    """Scores with many ties, and the picture of each sentence."""
    generator = torch.Generator().manual_seed(4)
    cases = []
    for images, more in ((3, 2), (5, 4), (2, 3), (6, 0)):
        owners = torch.cat([torch.arange(images), torch.randint(images, (more,), generator=generator)])
        owners = owners[torch.randperm(len(owners), generator=generator)]
        cases.append((torch.randint(0, 5, (images, len(owners)), generator=generator).float(), owners))
    return cases


@self_check
def check_image_ranks(yours: Callable[[Tensor, Tensor], Any]) -> None:
    """`yours(scores, sentence_image)`: at which rank each sentence finds its picture [sentences]; 1 is first."""

    def counted(S: Tensor, owners: Tensor, ties: float) -> Tensor:
        own = S[owners, torch.arange(len(owners))]
        wrong = torch.arange(len(S))[:, None] != owners
        return 1 + ((S > own) & wrong).sum(0) + ties * ((S == own) & wrong).sum(0)

    mistakes = [
        (lambda S, o: counted(S, o, 1) - 1, "ranks begin with 1"),
        (lambda S, o: counted(S, o, 0), "ties count for you: a wrong picture with the same score stands before yours"),
        (lambda S, o: counted(S, o, 1) + 1, "you counted the picture itself among the wrong ones"),
        (lambda S, o: len(S) + 1 - counted(S, o, 0), "you ranked from the bottom: higher scores come first"),
    ]
    compare(yours, "ranks of pictures", _some_rankings(), lambda S, o: rank_scores(S, o)[1], mistakes)


@self_check
def check_sentence_ranks(yours: Callable[[Tensor, Tensor], Any]) -> None:
    """`yours(scores, sentence_image)`: at which rank each picture finds the *best* of its sentences [images]."""

    def counted(S: Tensor, owners: Tensor, own_too: bool, worst: bool) -> Tensor:
        own = owners == torch.arange(len(S))[:, None]
        pick = S.masked_fill(~own, torch.inf).amin(1) if worst else S.masked_fill(~own, -torch.inf).amax(1)
        return 1 - int(own_too) + ((S >= pick[:, None]) & (own_too | ~own)).sum(1)

    mistakes = [
        (lambda S, o: counted(S, o, False, True), "you took the worst of a picture's sentences; the best one counts"),
        (
            lambda S, o: counted(S, o, True, False),
            "its other true sentences with the same score do not stand before it: count wrong sentences only",
        ),
        (lambda S, o: rank_scores(S, o)[0] - 1, "ranks begin with 1"),
        (
            lambda S, o: rank_scores(S - 1e-6 * (o != torch.arange(len(S))[:, None]), o)[0],
            "ties must count against you",
        ),
    ]
    tied = torch.tensor([[3.0, 3, 1], [0, 2, 2]]), torch.tensor([0, 0, 1])  # two true ones of equal score
    compare(yours, "ranks of sentences", [*_some_rankings(), tied], lambda S, o: rank_scores(S, o)[0], mistakes)


# chapter 9


def _some_chains() -> list[tuple]:
    generator = torch.Generator().manual_seed(5)
    sizes = ((4, 3, 0.0), (6, 4, 0.5), (5, 2, 1.0), (1, 3, 1.0), (7, 3, 30.0), (7, 3, 0.3))
    return [(vectors(generator, words, regions), beta) for words, regions, beta in sizes]


def _real(u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return u[None], *(torch.ones(1, n, dtype=torch.bool) for n in u.shape)


def _path(u: Tensor, beta: float) -> Tensor:
    return best_path(*_real(u), beta)[0][0]


@self_check
def check_best_path(yours: Callable[[Tensor, float], Any]) -> None:
    """The chain: `yours(u, beta)` of products u [words, regions] gives the region of every word, a_1 .. a_N."""

    def greedy(u: Tensor, beta: float) -> list[int]:
        path: list[int] = []
        for row in u:
            bonus = row.clone()
            if path:
                bonus[path[-1]] += beta
            path.append(int(bonus.argmax()))
        return path

    mistakes = [
        (lambda u, beta: u.argmax(1), "every word chose for itself: beta is not in it"),
        (lambda u, beta: _path(u, beta).flip(0), "the path is back to front: reverse it after walking back"),
        (lambda u, beta: _path(-u, beta), "you minimised: both terms are rewards, take the largest sum"),
        (greedy, "you decided word by word; a later word may make another start better: keep F for every region"),
    ]
    compare(yours, "the best path", _some_chains(), _path, mistakes)


@self_check
def check_marginals(yours: Callable[[Tensor, float], Any]) -> None:
    """Sum-product: `yours(u, beta)` gives P(a_j = i) [words, regions] under P(a) ~ exp(value of a)."""

    def forwards_only(u: Tensor, beta: float) -> Tensor:
        regions = u.shape[1]
        stay = beta * torch.eye(regions, dtype=u.dtype)
        messages = [u[0]]
        for row in u[1:]:
            messages.append(row + (messages[-1][:, None] + stay).logsumexp(0))
        return torch.stack(messages).softmax(1)

    mistakes = [
        (lambda u, beta: u.softmax(1), "every word is alone: beta is not in it"),
        (forwards_only, "these are the messages forwards; multiply by those that come back from the end"),
        (
            lambda u, beta: torch.nn.functional.one_hot(_path(u, beta), u.shape[1]).double(),
            "that is the best path; marginals sum over all paths (logsumexp where Viterbi has max)",
        ),
    ]
    cases = [case for case in _some_chains() if case[1] < 10]
    compare(yours, "marginals", cases, lambda u, beta: marginals(*_real(u), beta)[0], mistakes)


@self_check
def check_segments(yours: Callable[[Sequence[str], Sequence[int]], Any]) -> None:
    """Runs: `yours(words, path)` gives [(region, "words of the run"), ...] in the sentence's order."""

    def joined(words: Sequence[str], path: Sequence[int]) -> list:
        pairs = list(zip(path, words, strict=True))
        return [(region, " ".join(word for other, word in pairs if other == region)) for region in dict.fromkeys(path)]

    cases = [
        ("a brown dog on the green sofa".split(), [2, 2, 2, 0, 5, 5, 5]),
        ("a dog and a dog".split(), [1, 1, 0, 1, 1]),
        ("dogs sit".split(), [0, 4]),
        (["dog"], [3]),
    ]
    for words, path in cases:
        runs = groupby(zip(path, words, strict=True), key=lambda pair: pair[0])
        expected = [(region, " ".join(word for _, word in run)) for region, run in runs]
        found = [tuple(part) for part in yours(words, path)]
        if found == expected:
            continue
        if found and found == expected[:-1]:
            raise AssertionError("the last run is missing: it ends where the sentence does")
        if found == joined(words, path):
            raise AssertionError("words that are apart came together: a region that comes twice makes two segments")
        raise AssertionError(f"segments: wanted {expected}, got {found}")
    print(f"segments: right, {len(cases)} examples agree")
