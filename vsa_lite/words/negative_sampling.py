"""Skip-gram and CBOW taken apart: what is kept, what is near, what is a negative, the loss, the step (chapter 2)."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import softplus


def keep_probability(counts: Int[np.ndarray, " V"], threshold: float | None) -> Float[np.ndarray, " V"]:
    r"""How probably an occurrence of each word is kept, :math:`\min(1, \sqrt{t / f(w)})`; f is a word's share of all.

    Args:
        counts: how often each word occurs.
        threshold: t; None keeps all.

    Source: Mikolov et al. 2013, Distributed Representations of Words and Phrases, section 2.3.
    """
    shares = counts / max(1, counts.sum())
    if threshold is None:
        return np.ones(len(counts))
    return np.sqrt(threshold / np.maximum(shares, threshold))


def negative_distribution(counts: Int[np.ndarray, " V"], power: float = 0.75) -> Float[np.ndarray, " V"]:
    r"""The probability of each word as a negative, :math:`P(w) \propto \mathrm{count}(w)^{3/4}`.

    Source: Mikolov et al. 2013, section 2.2.
    """
    weights = np.where(counts > 0, np.maximum(counts, 1).astype(np.float64) ** power, 0)
    return weights / weights.sum()


def windows(
    sentences: Int[np.ndarray, " words"], window: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, "words places"], Bool[np.ndarray, "words places"]]:
    """Where the neighbours of every word stand: those of its sentence at a distance up to 1..window, drawn for each.

    So the nearest neighbour always counts, and one at the window's edge only once in `window` times.

    Args:
        sentences: the number of each word's sentence; words stand in order.
        window: greatest distance.
        rng: of the distances.

    Returns:
        positions: of up to 2 * window neighbours, from left to right.
        mask: which of them there are.
    """
    words = len(sentences)
    reach = rng.integers(1, window + 1, words)
    offsets = np.r_[-window:0, 1 : window + 1]
    positions = np.arange(words)[:, None] + offsets  # (words, 2 * window)
    mask = (np.abs(offsets) <= reach[:, None]) & (positions >= 0) & (positions < words)
    positions = positions.clip(0, max(0, words - 1))
    return positions, mask & (sentences[positions] == sentences[:, None])


def negative_sampling(
    inputs: Float[Tensor, "pairs size"],
    outputs: Float[Tensor, "pairs size"],
    negatives: Float[Tensor, "negatives size"],
    weights: Float[Tensor, "pairs negatives"],
) -> tuple[Float[Tensor, ""], tuple[Float[Tensor, "pairs size"], Float[Tensor, "pairs size"], Float[Tensor, "n size"]]]:
    r"""The loss of some pairs, summed, and its gradients, written out by hand.

    .. math:: -\sum_p \Big[ \log \sigma(o_p \cdot x_p) + \sum_n w_{pn} \log \sigma(-o_n \cdot x_p) \Big]

    Args:
        inputs: x, of the words that predict.
        outputs: o, of the words that are to be predicted.
        negatives: o, of words drawn at random.
        weights: w.

    Returns:
        The loss, and its gradients by inputs, outputs and negatives.

    Source: Mikolov et al. 2013, eq. 4.
    """
    true, false = (inputs * outputs).sum(1), inputs @ negatives.T  # (pairs), (pairs, negatives)
    loss = softplus(-true).sum() + (weights * softplus(false)).sum()
    d_true, d_false = (true.sigmoid() - 1)[:, None], weights * false.sigmoid()
    by_inputs = d_true * outputs + d_false @ negatives
    return loss, (by_inputs, d_true * inputs, d_false.T @ inputs)


class Adagrad:
    """A vector for every word, learned by Adagrad.

    A batch has many pairs of one frequent word. Plain steps along their summed gradients overshoot; along their mean
    they leave the rare words where they were. Adagrad divides each number by the root of all its squared gradients so
    far, which gives both kinds of word the step that they need. (Adam, tried too, learns slower: its running mean
    forgets a rare word between its two occurrences.) A word that is not in the batch has no gradient and stays, so that
    only the rows of the batch need be touched: the result is that of the whole matrix.
    """

    def __init__(self, vectors: Float[Tensor, "V size"]) -> None:
        self.vectors, self._squares = vectors, torch.zeros_like(vectors)

    def of(self, words: Int[Tensor, "*places"]) -> Float[Tensor, "*places size"]:
        """The vectors of these words; copying whole rows like this is three times as quick as indexing."""
        return self.vectors.index_select(0, words.flatten()).view(*words.shape, -1)

    def step(self, words: Int[Tensor, " rows"], gradients: Float[Tensor, "rows size"], rate: float) -> None:
        rows, where = words.unique(return_inverse=True)
        gradient = gradients.new_zeros(len(rows), gradients.shape[1]).index_add_(0, where, gradients)
        squares = self._squares.index_select(0, rows).addcmul_(gradient, gradient)
        self._squares.index_copy_(0, rows, squares)
        self.vectors.index_add_(0, rows, gradient.mul_(-rate).div_(squares.sqrt_().add_(1e-10)))
