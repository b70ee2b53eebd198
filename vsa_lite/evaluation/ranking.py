"""Searching: at which rank does the true sentence of a picture come, and the true picture of a sentence (chapter 8)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vsa_lite.alignment.cross_attention import DIRECTIONS, cross_attention_scores
from vsa_lite.alignment.scores import Normalisation, Score, check_choice, normalised, packed_scores

RECALLS = (1, 5, 10)
BLOCK = 8_000_000  # numbers that one block may take
GPU_BLOCK = 8  # times as many on a GPU, where starting a block costs as much as filling a small one


def summarise_ranks(ranks: Int[Tensor, " n"], prefix: str) -> dict[str, float]:
    """Recall at 1, 5 and 10 in percent, and the median rank, as `{prefix}_r@1` .. `{prefix}_median_rank`.

    Args:
        ranks: of the closest true item of each query, counted from 1.
        prefix: what is searched for, "sentence" or "image".
    """
    recalls = {f"{prefix}_r@{k}": 100 * float((ranks <= k).double().mean()) for k in RECALLS}
    return recalls | {f"{prefix}_median_rank": float(ranks.double().quantile(0.5))}


def rank_scores(
    scores: Float[Tensor, "images sentences"], sentence_image: Int[Tensor, " sentences"]
) -> tuple[Int[Tensor, " images"], Int[Tensor, " sentences"]]:
    """The rank of each picture's best true sentence, and of each sentence's picture; 1 is first.

    Ties are ranked pessimistically: a wrong item with the same score stands before the true one. So a model that gives
    every pair the same score comes last, not first.

    Args:
        scores: S; higher is better.
        sentence_image: the row of each sentence's picture; int64.

    Raises:
        ValueError: for scores with NaN, a row out of range, or a picture without a sentence.
    """
    images, sentences = scores.shape
    _check(sentence_image, images, sentences)
    if scores.isnan().any():
        k, l = scores.isnan().nonzero()[0].tolist()  # noqa: E741
        raise ValueError(f"the score of picture {k} with sentence {l} is NaN; it cannot be ranked")
    own = scores[sentence_image, torch.arange(sentences, device=scores.device)]
    best = own.new_full((images,), -torch.inf).scatter_reduce(0, sentence_image, own, "amax")
    of_images = torch.empty(images, dtype=torch.int64, device=scores.device)
    of_sentences = torch.ones(sentences, dtype=torch.int64, device=scores.device)
    for rows in torch.arange(images, device=scores.device).split(max(1, BLOCK // sentences)):
        wrong = sentence_image != rows[:, None]  # (rows, sentences)
        of_images[rows] = 1 + ((scores[rows] >= best[rows, None]) & wrong).sum(1)
        of_sentences += ((scores[rows] >= own) & wrong).sum(0)
    return of_images, of_sentences


def _check(sentence_image: Tensor, images: int, sentences: int) -> None:
    if sentence_image.shape != (sentences,):
        raise ValueError(f"sentence_image must have one entry for each of the {sentences} sentences")
    wrong = (sentence_image < 0) | (sentence_image >= images)
    if wrong.any():
        raise ValueError(f"sentence_image holds row {int(sentence_image[wrong][0])}, but there are {images} pictures")
    counts = torch.bincount(sentence_image, minlength=images)
    if not counts.all():
        raise ValueError(f"picture {int((counts == 0).nonzero()[0])} has no sentence: leave it out")


def score_all(
    regions: Float[Tensor, "images regions h"],
    region_mask: Bool[Tensor, "images regions"],
    words: Float[Tensor, "sentences words h"],
    word_mask: Bool[Tensor, "sentences words"],
    score: Score = "max",
    normalisation: Normalisation = "sum",
) -> Float[Tensor, "images sentences"]:
    """`alignment_scores` of everything with everything, block by block: products of few pairs stand in memory at once.

    Arguments, result and errors as there.
    """
    for name, mask, items in (("picture", region_mask, regions), ("sentence", word_mask, words)):
        if mask.shape != items.shape[:2]:
            raise ValueError(f"the mask of the {name}s must be {tuple(items.shape[:2])}, got {tuple(mask.shape)}")
        if not mask.any(1).all():  # here, since a block would give its own number
            k = int((~mask.any(1)).nonzero()[0])
            raise ValueError(f"{name} {k} has no {'region' if name == 'picture' else 'word'}: leave it out")
    check_choice(score, normalisation)
    # summed in at least single precision, as there
    scores = regions.new_empty(len(regions), len(words), dtype=torch.promote_types(regions.dtype, torch.float32))
    if score in DIRECTIONS:
        rows = max(1, BLOCK // (regions.shape[1] * words.shape[1] * 100))
        for first in range(0, len(regions), rows):
            for start in range(0, len(words), 100):
                here, some = slice(first, first + rows), slice(start, start + 100)
                part = regions[here], region_mask[here], words[some], word_mask[some]
                scores[here, some] = cross_attention_scores(*part, score)
        return scores
    padding = None if region_mask.all() else region_mask
    counts = word_mask.sum(1)
    step = max(1, 2000 // regions.shape[1])  # images
    most = BLOCK * (GPU_BLOCK if regions.is_cuda else 1) // (step * regions.shape[1])  # words
    # sentences one after the other until their words fill a block
    number = (counts.cumsum(0) - 1) // max(1, most - int(counts.max()) + 1)
    last = 0
    for size in number.unique_consecutive(return_counts=True)[1].tolist():
        some = slice(last, last := last + size)
        packed = words[some][word_mask[some]]  # real words only: (n, h)
        for first in range(0, len(regions), step):
            rows = slice(first, first + step)
            mask = None if padding is None else padding[rows]
            part = packed_scores(regions[rows], mask, packed, counts[some], score)
            scores[rows, some] = normalised(part, counts[some], normalisation)
    return scores


@torch.no_grad()
def rank(
    regions: Float[Tensor, "images regions h"],
    region_mask: Bool[Tensor, "images regions"],
    words: Float[Tensor, "sentences words h"],
    word_mask: Bool[Tensor, "sentences words"],
    sentence_image: Int[Tensor, " sentences"],
    score: Score = "max",
    normalisation: Normalisation = "sum",
) -> dict[str, float]:
    """Recall at 1, 5 and 10 in percent and median rank, both directions, of all pictures against all sentences.

    Args:
        regions, region_mask: v and its mask, every picture.
        words, word_mask: s and its mask, every sentence.
        sentence_image: the row of each sentence's picture; int64.
        score, normalisation: as for :func:`~vsa_lite.alignment.scores.alignment_scores`.

    Returns:
        `sentence_r@1/5/10`, `sentence_median_rank` (searching the sentence from the picture), and the same for `image`.

    Raises:
        ValueError: for sizes that do not fit, or as :func:`rank_scores`.

    Source: Karpathy and Fei-Fei 2015, section 4.1.
    """
    _check(sentence_image, len(regions), len(words))
    scores = score_all(regions, region_mask, words, word_mask, score, normalisation)
    of_images, of_sentences = rank_scores(scores, sentence_image)
    return summarise_ranks(of_images, "sentence") | summarise_ranks(of_sentences, "image")
