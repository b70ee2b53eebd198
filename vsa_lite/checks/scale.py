"""Self-checks of chapter 16: the table of codewords, the estimate made from it, and recall.

Each tries your function on random input beside a right one. Where your answer is one of the usual mistakes, the error
says which; a function that raises NotImplementedError is still to be written, and that is no error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

import torch
from torch import Tensor

from vsa_lite.checks import self_check
from vsa_lite.checks.comparing import compare, ragged, vectors


def _table(v: Tensor, mask: Tensor, codewords: Tensor) -> Tensor:
    return (v @ codewords.T).masked_fill(~mask[..., None], -torch.inf).amax(1)


@self_check
def check_codeword_table(yours: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """`yours(v, mask, codewords)`: m [pictures, codewords] of v [pictures, regions, h], its mask, and codewords."""
    generator = torch.Generator().manual_seed(0)
    cases = []
    for pictures, regions, h, count in ((3, 4, 5, 6), (5, 2, 3, 2), (2, 6, 4, 9)):
        v = vectors(generator, pictures, regions, h) - 0.5
        cases.append((v, ragged(generator, pictures, regions), vectors(generator, count, h)))
    mistakes = [
        (lambda v, mask, u: (v @ u.T).amax(1), "padded regions took part: mask them before the maximum"),
        (
            lambda v, mask, u: (v * mask[..., None] @ u.T).amax(1),
            "a padded region counts 0, and 0 beats a negative product: mask with minus infinity",
        ),
        (lambda v, mask, u: (v @ u.T).sum(1), "you summed over regions; a word of eq. 8 takes the best one"),
        (lambda v, mask, u: (v * mask[..., None] @ u.T).sum(1), "you summed over regions; eq. 8 takes the best one"),
        (
            lambda v, mask, u: (v * mask[..., None]).sum(1) / mask.sum(1, keepdim=True) @ u.T,
            "that is the product with the mean region; eq. 8 takes the best region",
        ),
        (lambda v, mask, u: _table(v, mask, u).T, "turn it over: one row a picture, one column a codeword"),
        (
            lambda v, mask, u: (v @ u.T).masked_fill(~mask[..., None], -torch.inf).argmax(1),
            "these are the regions' numbers (argmax); the table holds their products (max)",
        ),
    ]
    compare(yours, "the table of codewords", cases, _table, mistakes)


def _estimate(words: Tensor, codewords: Tensor, table: Tensor) -> Tensor:
    share, nearest = (words @ codewords.T).max(1)
    return table[:, nearest] @ share


@self_check
def check_estimate(yours: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """`yours(words, codewords, table)`: scores [pictures] estimated for words [words, h] from the table m."""
    generator, cases = torch.Generator().manual_seed(1), []
    for words, h, count, pictures in ((4, 5, 6, 3), (1, 3, 2, 5), (7, 4, 9, 2)):
        u = torch.nn.functional.normalize(vectors(generator, count, h), dim=1)
        cases.append((vectors(generator, words, h), u, vectors(generator, pictures, count)))

    def other_share(s: Tensor, u: Tensor, m: Tensor) -> Tensor:
        return m[:, (s @ u.T).argmax(1)] @ s.norm(dim=1)

    mistakes = [
        (
            lambda s, u, m: m[:, (s @ u.T).argmax(1)].sum(1),
            "every word counts as its share of its codeword: multiply by s . u before you sum",
        ),
        (other_share, "the share is the product of the word with its codeword, not the word's length"),
        (lambda s, u, m: m @ (s @ u.T).sum(0), "you used all codewords; each word takes only the nearest"),
        (
            lambda s, u, m: m[:, (s.sum(0) @ u.T).argmax()] * (s.sum(0) @ u.T).max(),
            "you summed the words first; each word has a codeword of its own",
        ),
        (
            lambda s, u, m: m[:, torch.cdist(s, u).argmin(1)] @ (s @ u.T).max(1).values,
            "nearest by distance: what counts is the direction, the largest product",
        ),
        (lambda s, u, m: _estimate(s, u, m) / len(s), "you took the mean over words; eq. 8 sums them"),
        (lambda s, u, m: m[:, (s @ u.T).argmax(1)] * (s @ u.T).max(1).values, "you have the words' parts; sum them"),
    ]
    compare(yours, "the estimate", cases, _estimate, mistakes)


def _recall(found: Sequence[Sequence[int]], truth: Sequence[Sequence[int]]) -> float:
    hits = sum(len(set(a) & set(b)) for a, b in zip(found, truth, strict=True))
    return 100 * hits / sum(map(len, truth))


@self_check
def check_recall(yours: Callable[[list[list[int]], list[list[int]]], float]) -> None:
    """`yours(found, truth)`: percent of the true items, question by question, that were found."""
    cases = [
        ([[4, 1, 3, 2], [5, 6, 7, 8]], [[4, 2], [9, 5]]),
        ([[1], [2], [3]], [[1], [3], [2]]),
        ([[3, 1, 2], [9, 8, 7]], [[1, 2, 3], [7, 1, 0]]),
    ]
    mistakes = [
        (lambda found, truth: _recall(found, truth) / 100, "in percent, please: from 0 to 100"),
        (
            lambda found, truth: _recall(truth, found),
            "that is precision: divide by what is true, not by what was found",
        ),
        (
            lambda found, truth: 100 * sum(a[: len(b)] == b for a, b in zip(found, truth, strict=True)) / len(truth),
            "the order does not matter: count what is found anywhere",
        ),
        (
            lambda found, truth: 100 * sum(a[0] == b[0] for a, b in zip(found, truth, strict=True)) / len(truth),
            "you looked at the first place only",
        ),
        (
            lambda found, truth: (
                100 * sum(bool(set(a) & set(b)) for a, b in zip(found, truth, strict=True)) / len(truth)
            ),
            "you counted questions with any hit; count the hits",
        ),
        (
            lambda found, truth: 100 * len(set(chain(*found)) & set(chain(*truth))) / sum(map(len, truth)),
            "an item found for another question does not count: compare question by question",
        ),
    ]
    compare(yours, "recall", cases, _recall, mistakes)
