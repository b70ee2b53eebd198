"""The two scores between a picture and a sentence (chapter 6).

Both start from the products v_i . s_t of every region with every word, and differ only in what they make of the
regions: eq. 7 (DeFrag) sums the positive ones, eq. 8 (DVSA) takes the best one. Retrieval people know eq. 8 as
*MaxSim late interaction*.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vsa_lite.alignment.cross_attention import DIRECTIONS, cross_attention_scores

Score = Literal["max", "sum", "text_to_image", "image_to_text"]
Normalisation = Literal["sum", "mean", "smooth"]

SMOOTHING = 10.0  # `smooth`: words + 10 in the denominator


def check_choice(score: Score, normalisation: Normalisation) -> None:
    """Raise a ValueError for a score or a normalisation that is not known, or where they do not go together."""
    if score not in ("max", "sum", *DIRECTIONS):
        names = "'max' (eq. 8), 'sum' (eq. 7), 'text_to_image' or 'image_to_text' (cross attention)"
        raise ValueError(f"score must be {names}, got {score!r}")
    if normalisation not in ("sum", "mean", "smooth"):
        raise ValueError(f"normalisation must be 'sum', 'mean' or 'smooth', got {normalisation!r}")
    if score in DIRECTIONS and normalisation != "mean":
        raise ValueError(f"the score {score!r} is a mean: set normalisation to 'mean', got {normalisation!r}")


def region_word_products(
    regions: Float[Tensor, "images regions h"], words: Float[Tensor, "n h"]
) -> Float[Tensor, "n images regions"]:
    """All products v_i . s_t of every word with every region, as one matrix product."""
    images, n_regions, h = regions.shape
    if h != words.shape[-1]:
        raise ValueError(f"regions and words must have the same size h, got {h} and {words.shape[-1]}")
    return (words @ regions.reshape(-1, h).T).view(-1, images, n_regions)


def own_products(
    regions: Float[Tensor, "pairs regions h"], words: Float[Tensor, "pairs words h"]
) -> Float[Tensor, "pairs words regions"]:
    """Products v_i . s_t of every word with the regions of its own picture: what the chain of chapter 9 decodes."""
    return words @ regions.mT


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
        score: "max" (eq. 8) or "sum" (eq. 7); "text_to_image" or "image_to_text" for
            :func:`~vsa_lite.alignment.cross_attention.cross_attention_scores`, which are means.
        normalisation: "sum" as printed; "mean" divides by the number of words; "smooth" by that number + 10, so that
            one-word sentences do not score too high.

    Returns:
        S, one row a picture, one column a sentence; float.

    Raises:
        ValueError: for an unknown choice, sizes that do not fit, a picture without regions, a sentence without words.

    Source: Karpathy and Fei-Fei 2015, eq. 7 and 8.
    """
    check_choice(score, normalisation)
    for name, mask in (("picture", region_mask), ("sentence", word_mask)):
        empty = (~mask.any(1)).nonzero().flatten().tolist()
        if empty:
            part = "region" if name == "picture" else "word"
            raise ValueError(f"{name} {empty[0]} has no {part}: leave it out of the batch")
    if score in DIRECTIONS:
        return cross_attention_scores(regions, region_mask, words, word_mask, score)
    padding, lengths = None if region_mask.all() else region_mask, word_mask.sum(1)
    return normalised(packed_scores(regions, padding, words[word_mask], lengths, score), lengths, normalisation)


def packed_scores(
    regions: Float[Tensor, "images regions h"],
    region_mask: Bool[Tensor, "images regions"] | None,
    words: Float[Tensor, "n h"],
    lengths: Int[Tensor, " sentences"],
    score: Score = "max",
) -> Float[Tensor, "images sentences"]:
    """The sums over words of `alignment_scores`, not normalised and nothing checked, from real words in a row.

    They are added up in at least single precision, whatever the products are in.

    Args:
        regions: v; float.
        region_mask: True where a region is real; None if all are.
        words: s of the real words of all sentences; float.
        lengths: how many words each sentence has; int64.
        score: as there.
    """
    products = region_word_products(regions, words)  # (real words, images, regions)
    if region_mask is not None:
        products = products.masked_fill(~region_mask, -torch.inf if score == "max" else 0)
    if score == "sum":
        per_word = products.clamp(min=0).sum(-1)  # (real words, images)
    else:  # amax keeps no indices, but of equal products it would give each a share of the gradient
        per_word = products.max(-1).values if products.requires_grad else products.amax(-1)
    per_word = per_word.to(torch.promote_types(per_word.dtype, torch.float32))
    # words of a sentence stand together: quicker than `index_add`; unsafe only leaves out a check of the lengths
    return torch.segment_reduce(per_word, "sum", lengths=lengths, axis=0, unsafe=True).T


def normalised(
    scores: Float[Tensor, "images sentences"], lengths: Int[Tensor, " sentences"], normalisation: Normalisation
) -> Float[Tensor, "images sentences"]:
    """Sums over the words of sentences of these lengths, normalised as `alignment_scores` does it."""
    if normalisation == "sum":
        return scores
    return scores / (lengths + (SMOOTHING if normalisation == "smooth" else 0.0))
