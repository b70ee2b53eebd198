"""Where attention should be, and how much of it is there (chapters 13 and 14)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vsa_lite.alignment.pairs import Pairs
from vsa_lite.captioning.attention import AttentionCaptioner
from vsa_lite.captioning.localiser import Localiser
from vsa_lite.evaluation.grounding import OVERLAP, evaluate_grounding, linked_phrases
from vsa_lite.regions.boxes import box_iou


def right_regions(
    pairs: Pairs,
) -> tuple[Bool[Tensor, "pairs words regions"], Bool[Tensor, "pairs words"]]:
    """For each word of a phrase whose boxes are known: which regions have IoU of at least 0.5 with one of them.

    Returns:
        Which regions are right, and the words that have a right region at all.
    """
    phrases = linked_phrases(pairs)
    _, region_mask, boxes = pairs.pictures(range(len(pairs.image_ids)))
    overlap = box_iou(boxes[phrases.picture], phrases.boxes).masked_fill(~phrases.box_mask[:, None], 0).amax(2)
    right = (overlap >= OVERLAP) & region_mask[phrases.picture]  # (phrases, regions)
    found = torch.zeros(len(pairs), max(map(len, pairs.tokens)), right.shape[1], dtype=torch.bool)
    for offset in range(int((phrases.stop - phrases.start).max())):
        here = (phrases.pair >= 0) & (phrases.start + offset < phrases.stop)
        found[phrases.pair[here], phrases.start[here] + offset] |= right[here]
    return found, found.any(-1)


def true_targets(pairs: Pairs) -> tuple[Float[Tensor, "pairs words regions"], Bool[Tensor, "pairs words"]]:
    """The teacher that knows everything: attention shared evenly by the right regions of every phrase's words."""
    right, mask = right_regions(pairs)
    return right / right.sum(-1, keepdim=True).clamp(min=1), mask


@torch.inference_mode()
def attention_mass(
    model: AttentionCaptioner | Localiser, pairs: Pairs, revision: int = -1, batch_size: int = 500
) -> float:
    """The share of the attention that lies on right regions, mean over the words of phrases, in percent.

    Only words that have a right region count: all others would measure the regions.
    """
    right, mask = right_regions(pairs)
    training, total = model.training, 0.0
    model.eval()
    device = next(model.parameters()).device
    for start in range(0, len(pairs), batch_size):
        rows = slice(start, start + batch_size)
        batch = pairs.batch(range(len(pairs))[rows]).to(device)
        alpha = model.attention(batch.regions, batch.tokens, batch.word_mask, revision).cpu()
        words = alpha.shape[1]
        total += float((alpha * right[rows, :words]).sum(-1)[mask[rows, :words]].sum())
    model.train(training)
    return 100 * total / int(mask.sum())


def attention_grounding(model: AttentionCaptioner, pairs: Pairs) -> dict[str, float]:
    """Where a model looks, and whether it should: everything that is measured of it, in percent.

    Args:
        model: a caption model; with the cycle, its :class:`~vsa_lite.captioning.localiser.Localiser` is measured, too.
        pairs: of a data set whose phrases are linked to boxes.

    Returns:
        What :func:`~vsa_lite.evaluation.grounding.evaluate_grounding` says of the region with most attention, and
        `attention_mass`; of a revised model also `attention_mass_first`, before it was revised, and `gamma`, no share;
        of a model with the cycle `found_again_mass` and `found_again_iou50`, of its localiser.

    Raises:
        ValueError: as :func:`~vsa_lite.evaluation.grounding.linked_phrases`.
    """
    found = {"attention_mass": attention_mass(model, pairs), **evaluate_grounding(model, pairs)}
    if model.extras["revisions"]:
        found |= {"attention_mass_first": attention_mass(model, pairs, 0), "gamma": float(model.gamma.detach())}
    if model.extras["cycle_weight"]:
        again = Localiser(model)
        found["found_again_mass"] = attention_mass(again, pairs)
        found["found_again_iou50"] = evaluate_grounding(again, pairs)["grounding_iou50"]
    return found
