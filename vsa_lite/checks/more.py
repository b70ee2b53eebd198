"""Self-checks of a recall picture by picture, of other energies, and of a liking for large regions (8, 13 and 15).

As those of `exercises`: each takes your function and tries it on random input beside a right one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from vsa_lite.checks import self_check
from vsa_lite.checks.comparing import compare, ragged, vectors
from vsa_lite.evaluation.ranking import rank_scores


def _hits(S: Tensor, owners: Tensor, kind_to_ties: bool = False) -> Tensor:
    """Which sentences find their picture first."""
    own = S[owners, torch.arange(len(owners))]
    return ((S > own).sum(0) == 0).double() if kind_to_ties else (rank_scores(S, owners)[1] <= 1).double()


def _of_pictures(hits: Tensor, owners: Tensor) -> Tensor:
    return torch.stack([hits[owners == k].mean() for k in range(int(owners.max()) + 1)])


@self_check
def check_hits_of(yours: Callable[[Tensor, Tensor], Any]) -> None:
    """Chapter 8: `yours(S, sentence_image)`, the share of each picture's sentences that find it first [images]."""
    generator, cases = torch.Generator().manual_seed(0), []
    for images, more, most in ((3, 5, 4), (5, 9, 6), (4, 6, 3)):
        owners = torch.cat([torch.arange(images), torch.randint(images, (more,), generator=generator)])
        owners = owners[torch.randperm(len(owners), generator=generator)]
        S = torch.randint(0, most, (images, len(owners)), generator=generator).float()  # with ties
        S[owners, torch.arange(len(owners))] += 2
        S[:2, (owners == 0).nonzero()[0]] = 9  # a tie in which the true picture stands first
        cases.append((S, owners))
    mistakes = [
        (
            lambda S, o: _of_pictures(_hits(S, o, kind_to_ties=True), o),
            "ties count for you: a wrong picture with the same score stands before yours",
        ),
        (lambda S, o: 100 * _of_pictures(_hits(S, o), o), "shares, not percent"),
        (lambda S, o: _hits(S, o).mean(), "one number for each picture: the mean over its own sentences"),
        (_hits, "one number for each picture, not for each sentence: the mean over its own"),
        (
            lambda S, o: torch.zeros(len(S)).double().index_add(0, o, _hits(S, o)),
            "a share: divide by how many sentences the picture has",
        ),
        (
            lambda S, o: (rank_scores(S, o)[0] <= 1).double(),
            "that is whether the picture finds one of its sentences; here its sentences look for it",
        ),
        (
            lambda S, o: (_of_pictures(_hits(S, o), o) > 0).double(),
            "every sentence counts: the share of those that find it, not whether one does",
        ),
    ]
    compare(yours, "hits", cases, lambda S, o: _of_pictures(_hits(S, o), o), mistakes)


def _dot_energies(h: Tensor, v: Tensor, W_q: Tensor, W_k: Tensor) -> Tensor:
    return torch.einsum("si,sri->sr", h @ W_q.T, v @ W_k.T) / h.shape[1] ** 0.5


@self_check
def check_dot_energies(yours: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """Chapter 13: `yours(h, v, W_q, W_k)`, energies [states, regions] of h [states, H] and v [states, regions, H]."""
    generator, cases = torch.Generator().manual_seed(1), []
    for states, regions, H in ((3, 4, 5), (2, 3, 6), (4, 6, 2)):
        parts = vectors(generator, states, H), vectors(generator, states, regions, H)
        cases.append((*parts, vectors(generator, H, H), vectors(generator, H, H)))
    mistakes = [
        (lambda h, v, Q, K: _dot_energies(h, v, Q, K) * h.shape[1] ** 0.5, "the root of H is missing"),
        (lambda h, v, Q, K: _dot_energies(h, v, Q, K) / h.shape[1] ** 0.5, "divide by the root of H, not by H"),
        (
            lambda h, v, Q, K: _dot_energies(h, v, Q, K) * (h.shape[1] / v.shape[1]) ** 0.5,
            "H is how long a state is, not how many regions there are",
        ),
        (lambda h, v, Q, K: _dot_energies(h, v, Q.T, K.T), "W h of a column is h W^T of a row"),
        (lambda h, v, Q, K: _dot_energies(h, v, K, Q), "W_q goes with the state, W_k with the regions"),
        (lambda h, v, Q, K: _dot_energies(h, v, Q, torch.eye(len(K))), "the key of a region is W_k v, not v"),
        (lambda h, v, Q, K: _dot_energies(h, v, torch.eye(len(Q)), K), "the question is W_q h, not h"),
        (lambda h, v, Q, K: _dot_energies(h, v, Q, K).softmax(1), "energies, please: the softmax comes after"),
        (lambda h, v, Q, K: _dot_energies(h, v, Q, K).T, "one row a state, one column a region"),
    ]
    compare(yours, "dot products", cases, _dot_energies, mistakes)


LEAST = 1e-3  # of a side


def _sides(boxes: Tensor, least: float = LEAST) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=least)


def _prefer_large(products: Tensor, boxes: Tensor, gamma: float) -> Tensor:
    return products + gamma * _sides(boxes).prod(-1).log()[:, None]


@self_check
def check_prefer_large(yours: Callable[[Tensor, Tensor, float], Tensor]) -> None:
    """Chapter 15: `yours(products, boxes, gamma)`, products + gamma log(area) [pairs, words, regions]."""
    generator, cases = torch.Generator().manual_seed(2), []
    for pairs, words, regions, gamma in ((3, 4, 5, 0.4), (2, 3, 3, -0.7), (4, 6, 2, 0.1)):
        corner = 0.5 * torch.rand(pairs, regions, 2, generator=generator)
        boxes = torch.cat([corner, corner + 0.1 + 0.4 * torch.rand(pairs, regions, 2, generator=generator)], -1)
        boxes = boxes.masked_fill(~ragged(generator, pairs, regions)[..., None], 0)
        cases.append((vectors(generator, pairs, words, regions), boxes, gamma))

    def more(p: Tensor, b: Tensor, reward: Tensor) -> Tensor:
        return p + reward[:, None]

    mistakes = [
        (lambda p, b, g: more(p, b, g * _sides(b).prod(-1)), "the logarithm is missing"),
        (lambda p, b, g: _prefer_large(p, b, -g), "the reward is added"),
        (lambda p, b, g: _prefer_large(p, b, 1.0), "gamma is given: use it"),
        (lambda p, b, g: more(p, b, g * _sides(b).prod(-1).log10()), "the natural logarithm"),
        (
            lambda p, b, g: more(p, b, g * b[..., 2:].clamp(min=LEAST).prod(-1).log()),
            "the last two numbers of a box are its other corner, not its sides",
        ),
        (
            lambda p, b, g: more(p, b, g * _sides(b).sum(-1).log()),
            "the area is the product of both sides, not their sum",
        ),
        (
            lambda p, b, g: more(p, b, g * _sides(b, 0.0).prod(-1).log()),
            "a side counts at least 0.001: the logarithm of a padded region's area is infinite otherwise",
        ),
        (lambda p, b, g: _prefer_large(p, b, g).amax(-1), "every product gets its reward; the maximum comes after"),
        (
            lambda p, b, g: p * (g * _sides(b).prod(-1).log())[:, None],
            "the reward is added to a product, it does not multiply it",
        ),
    ]
    compare(yours, "the liking for large regions", cases, _prefer_large, mistakes)
