"""The two scores between a picture and a sentence (chapter 6).

Both start from the products v_i . s_t of every region with every word, and differ only in what they make of the
regions: eq. 7 (DeFrag) sums the positive ones, eq. 8 (DVSA) takes the best one. Retrieval people know eq. 8 as
*MaxSim late interaction*.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Score = Literal["max", "sum"]
Normalisation = Literal["sum", "mean", "smooth"]

SMOOTHING = 10.0  # `smooth`: words + 10 in the denominator


def region_word_products(
    regions: Float[Tensor, "images regions h"], words: Float[Tensor, "sentences words h"]
) -> Float[Tensor, "images sentences words regions"]:
    """All products v_i . s_t, as one matrix product."""
    images, n_regions, h = regions.shape
    sentences, n_words, h_words = words.shape
    if h != h_words:
        raise ValueError(f"regions and words must have the same size h, got {h} and {h_words}")
    flat = words.reshape(-1, h) @ regions.reshape(-1, h).T  # (sentences * words, images * regions)
    return flat.view(sentences, n_words, images, n_regions).permute(2, 0, 1, 3)


def alignment_scores(
    regions: Float[Tensor, "images regions h"],
    region_mask: Bool[Tensor, "images regions"],
    words: Float[Tensor, "sentences words h"],
    word_mask: Bool[Tensor, "sentences words"],
    score: Score = "max",
    normalisation: Normalisation = "sum",
) -> Float[Tensor, "images sentences"]:
    r"""Score every picture against every sentence: S_kl.

    `score="max"` is eq. 8, :math:`S_{kl} = \sum_t \max_i v_i \cdot s_t`; `score="sum"` is eq. 7,
    :math:`S_{kl} = \sum_t \sum_i \max(0, v_i \cdot s_t)`. Padded regions are masked before the maximum, padded words
    before the sum.

    Args:
        regions: v, the embedded regions; float.
        region_mask: True where a region is real; every picture needs at least one.
        words: s, the embedded words; float.
        word_mask: True where a word is real; every sentence needs at least one.
        score: "max" (eq. 8) or "sum" (eq. 7).
        normalisation: "sum" as printed; "mean" divides by the number of words; "smooth" by that number + 10, so that
            one-word sentences do not score too high.

    Returns:
        S, one row a picture, one column a sentence; float.

    Raises:
        ValueError: for an unknown choice, sizes that do not fit, a picture without regions, a sentence without words.

    Source: Karpathy and Fei-Fei 2015, eq. 7 and 8.
    """
    if score not in ("max", "sum"):
        raise ValueError(f"score must be 'max' (eq. 8) or 'sum' (eq. 7), got {score!r}")
    if normalisation not in ("sum", "mean", "smooth"):
        raise ValueError(f"normalisation must be 'sum', 'mean' or 'smooth', got {normalisation!r}")
    for name, mask in (("picture", region_mask), ("sentence", word_mask)):
        empty = (~mask.any(1)).nonzero().flatten().tolist()
        if empty:
            part = "region" if name == "picture" else "word"
            raise ValueError(f"{name} {empty[0]} has no {part}: leave it out of the batch")
    products = region_word_products(regions, words)  # (images, sentences, words, regions)
    mask = region_mask[:, None, None, :]
    if score == "max":
        per_word = products.masked_fill(~mask, -torch.inf).amax(-1)  # (images, sentences, words)
    else:
        per_word = products.clamp(min=0).masked_fill(~mask, 0).sum(-1)
    total = per_word.masked_fill(~word_mask[None], 0).sum(-1)  # (images, sentences)
    if normalisation == "sum":
        return total
    return total / (word_mask.sum(1) + (SMOOTHING if normalisation == "smooth" else 0.0))
