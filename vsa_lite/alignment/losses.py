"""The losses that pull true pairs together and push wrong pairs apart (chapter 7)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def negative_pairs(image_ids: Int[Tensor, " pairs"]) -> Bool[Tensor, "pairs pairs"]:
    """Which (image k, sentence l) are wrong pairs: those of two different pictures, not merely off the diagonal.

    Five sentences share a picture, so two sentences of one picture may meet in a batch; they are no negatives.
    """
    return image_ids[:, None] != image_ids[None, :]


def _check(scores: Tensor, image_ids: Tensor) -> None:
    if not scores.numel():
        raise ValueError("there must be at least one pair to compare")
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1] or scores.shape[0] != image_ids.shape[0]:
        raise ValueError(
            f"scores must be square, one row and column for each of the {image_ids.shape[0]} pairs; "
            f"got {tuple(scores.shape)}"
        )


def structured_loss(
    scores: Float[Tensor, "pairs pairs"], image_ids: Int[Tensor, " pairs"], margin: float = 1.0
) -> Float[Tensor, ""]:
    r"""The max-margin structured loss C, eq. 9.

    .. math:: C = \sum_k \Big[\sum_l \max(0, S_{kl} - S_{kk} + m) + \sum_l \max(0, S_{lk} - S_{kk} + m)\Big]

    As printed the sums include l = k, which adds the constant 2m a pair and no gradient; it is masked here, together
    with every other pair of the same picture. Constant scores give exactly 2 B (B - 1) m.

    Args:
        scores: S, row k a picture, column l a sentence, true pairs on the diagonal; float.
        image_ids: the picture that each pair comes from; int.
        margin: m, in units of the score.

    Returns:
        The loss, summed over the batch; a scalar.

    Raises:
        ValueError: if `scores` is not square or does not fit `image_ids`.

    Source: Karpathy and Fei-Fei 2015, eq. 9.
    """
    _check(scores, image_ids)
    true = scores.diagonal()
    wrong = negative_pairs(image_ids)
    sentences = (scores - true[:, None] + margin).clamp(min=0)  # picture k against wrong sentences l
    images = (scores - true[None, :] + margin).clamp(min=0)  # sentence k against wrong pictures l
    return ((sentences + images) * wrong).sum()


def hardest_negative_loss(
    scores: Float[Tensor, "pairs pairs"], image_ids: Int[Tensor, " pairs"], margin: float = 1.0
) -> Float[Tensor, ""]:
    r"""Eq. 9 with only the hardest wrong sentence and the hardest wrong picture of each pair (VSE++).

    Constant scores give exactly 2 B m; started cold, training can stay there: warm up with :func:`structured_loss`.
    Arguments, result and errors as there. Source: Faghri et al. 2018.
    """
    _check(scores, image_ids)
    true = scores.diagonal()
    wrong = negative_pairs(image_ids)
    sentences = (scores - true[:, None] + margin).clamp(min=0) * wrong
    images = (scores - true[None, :] + margin).clamp(min=0) * wrong
    return sentences.amax(1).sum() + images.amax(0).sum()


def contrastive_loss(
    scores: Float[Tensor, "pairs pairs"], image_ids: Int[Tensor, " pairs"], scale: float | Tensor = 1.0
) -> Float[Tensor, ""]:
    r"""The smooth form (InfoNCE): cross entropy of the true sentence among all, and of the true picture among all.

    .. math:: \tfrac12 \sum_k \big[-\log\mathrm{softmax}_l(a S_{kl})_k - \log\mathrm{softmax}_l(a S_{lk})_k\big]

    Other sentences of the same picture are left out of both softmaxes. Summed over the batch, like the others.

    Args:
        scores, image_ids: as in :func:`structured_loss`.
        scale: a, the inverse temperature.
    """
    _check(scores, image_ids)
    same = ~negative_pairs(image_ids)
    same.fill_diagonal_(False)
    logits = (scale * scores).masked_fill(same, -torch.inf)
    target = torch.arange(scores.shape[0], device=scores.device)
    cross_entropy = torch.nn.functional.cross_entropy
    return (cross_entropy(logits, target, reduction="sum") + cross_entropy(logits.T, target, reduction="sum")) / 2
