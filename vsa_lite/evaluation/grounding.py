"""Does the alignment find the thing that a phrase names: measured where boxes are known (chapter 9).

A phrase is right if its region overlaps one of its true boxes by half. That number says little alone: a phrase whose
thing no region covers cannot be found, and a big thing is found by taking the whole picture. So the upper bound of the
regions and the baselines stand beside it, all of them over the same phrases.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from vsa_lite.alignment.chain import best_path, relative_beta
from vsa_lite.alignment.model import AlignmentModel
from vsa_lite.alignment.pairs import Pairs
from vsa_lite.regions.boxes import WHOLE_PICTURE, box_area, box_iou

OVERLAP = 0.5  # IoU from which on a region is right
BLOCK = 4096  # phrases that are compared with all their regions at once


@dataclass(frozen=True)
class LinkedPhrases:
    """Phrases whose boxes are known, in the order of the pictures and their sentences.

    Attributes:
        picture: row of each phrase's picture in the pairs; int64.
        pair: number of its pair; -1 where the pairs left the sentence out, having no known word in it; int64.
        start, stop: its first known word, and the one behind its last, among the *known* words of the sentence; equal
            where it has no known word; int64.
        boxes: the true boxes, each a right answer; zeros where padded; float32.
        box_mask: True where a true box is real.
    """

    picture: Int[Tensor, " phrases"]
    pair: Int[Tensor, " phrases"]
    start: Int[Tensor, " phrases"]
    stop: Int[Tensor, " phrases"]
    boxes: Float[Tensor, "phrases things 4"]
    box_mask: Bool[Tensor, "phrases things"]

    def __len__(self) -> int:
        return len(self.picture)


def linked_phrases(pairs: Pairs) -> LinkedPhrases:
    """Every phrase of every picture of the pairs, also of sentences that the pairs left out.

    Raises:
        ValueError: if there is no phrase, or one points at words or boxes that are not there.
    """
    number_of = {sentence: pair for pair, sentence in enumerate(pairs.sentences)}
    rows, boxes = [], []
    for row, record in enumerate(pairs.records):
        things = torch.zeros(0, 4) if record.boxes is None else torch.as_tensor(record.boxes, dtype=torch.float32)
        for number, sentence in enumerate(record.sentences):
            known = pairs.vocabulary.known(sentence.tokens) if sentence.phrases else []
            for phrase in sentence.phrases:
                name = f"{record.name}, sentence {number}: a phrase of the words {phrase.start} to {phrase.stop}"
                if not 0 <= phrase.start < phrase.stop <= len(sentence.tokens):
                    raise ValueError(f"{name} in a sentence of {len(sentence.tokens)} words")
                if not phrase.boxes or not all(0 <= box < len(things) for box in phrase.boxes):
                    raise ValueError(f"{name} is linked to the boxes {phrase.boxes} of {len(things)}")
                first, behind = bisect_left(known, phrase.start), bisect_left(known, phrase.stop)
                rows.append((row, number_of.get((row, number), -1), first, behind))
                boxes.append(things[list(phrase.boxes)])
    if not rows:
        raise ValueError("no sentence has a phrase with known boxes: grounding cannot be measured on this data set")
    counts = torch.tensor([len(true) for true in boxes])
    box_mask = torch.arange(int(counts.max())) < counts[:, None]
    return LinkedPhrases(*torch.tensor(rows).unbind(1), pad_sequence(boxes, batch_first=True), box_mask)


def phrase_regions(
    unary: Float[Tensor, "phrases words regions"],
    region_mask: Bool[Tensor, "phrases regions"],
    start: Int[Tensor, " phrases"],
    stop: Int[Tensor, " phrases"],
    path: Int[Tensor, "phrases words"] | None = None,
) -> Int[Tensor, " phrases"]:
    r"""The region of each phrase: :math:`\arg\max_i \sum_{t = start}^{stop - 1} u_{ti}`, over real regions.

    With a decoded path, the region that most of the phrase's words are on; among several the one with the highest sum.
    Among equals the one with the lower index.

    Args:
        unary: u, the products of the words of each phrase's sentence with its picture's regions; float.
        region_mask: True where a region is real; at least one in each row.
        start, stop: the phrase's words; int64.
        path: the region of each word, as :func:`~vsa_lite.alignment.chain.best_path` gives it; int64.

    Returns:
        Region index; -1 for a phrase without a word; int64.

    Raises:
        ValueError: for a product that is NaN.
    """
    t = torch.arange(unary.shape[1], device=unary.device)
    of_phrase = (t >= start[:, None]) & (t < stop[:, None])  # (phrases, words)
    sums = unary.masked_fill(~of_phrase[..., None], 0).sum(1).masked_fill(~region_mask, -torch.inf)
    if sums.isnan().any():
        raise ValueError(f"the products of phrase {int(sums.isnan().any(1).nonzero()[0])} are NaN: check the features")
    if path is not None:
        votes = torch.zeros_like(sums).scatter_add(1, path, of_phrase.to(sums.dtype))  # (phrases, regions)
        sums = sums.masked_fill(votes < votes.amax(1, keepdim=True), -torch.inf)
    return sums.argmax(1).masked_fill(start >= stop, -1)


def grounding_metrics(
    chosen: Int[Tensor, " phrases"],
    regions: Float[Tensor, "phrases regions 4"],
    region_mask: Bool[Tensor, "phrases regions"],
    boxes: Float[Tensor, "phrases things 4"],
    box_mask: Bool[Tensor, "phrases things"],
) -> dict[str, float]:
    """How many phrases found one of their boxes, beside what could be found and what is found without looking.

    Args:
        chosen: the region of each phrase; -1 for a phrase without a region, which counts as wrong everywhere; int64.
        regions: all regions of its picture, as boxes in shares of the picture's sides; float.
        region_mask: True where a region is real; at least one in each row.
        boxes: the true boxes, each a right answer; float.
        box_mask: True where a true box is real; at least one in each row.

    Returns:
        In percent of all phrases:

        - `grounding_iou50`: the region has IoU of at least 0.5 with a true box;
        - `grounding_pointing`: the region's centre lies in a true box; `grounding_pointing_centre`: the picture's does;
        - `grounding_mean_iou`: mean IoU of the region with the true box that it fits best;
        - `grounding_area`, `grounding_area_true`: how much of the picture the region takes (0 for no region), and the
          largest true box;
        - `grounding_upper_bound`: any region of the picture has IoU of at least 0.5 with a true box;
        - `grounding_baseline_whole`, `grounding_baseline_largest`, `grounding_baseline_random`: `grounding_iou50` of
          the whole picture, of the largest region that is not the whole picture (if there is another one), and of a
          region drawn at random, in expectation.

        And two numbers: `grounding_phrases`, all phrases; `grounding_unknown_phrases`, those without a region.

    Raises:
        ValueError: for shapes that do not fit, no phrase, a phrase without a region or box to choose from, or a chosen
            region that is not real.

    Source: Plummer et al. 2015, Flickr30k Entities; Zhang et al. 2016 (the pointing game).
    """
    _check(chosen, regions, region_mask, boxes, box_mask)
    blocks = zip(*(part.split(BLOCK) for part in (chosen, regions, region_mask, boxes, box_mask)), strict=True)
    judged = [_judge(*block) for block in blocks]
    shares = {name: 100 * float(torch.cat([one[name] for one in judged]).double().mean()) for name in judged[0]}
    counts = {"phrases": float(len(chosen)), "unknown_phrases": float((chosen < 0).sum())}
    return {f"grounding_{name}": value for name, value in (shares | counts).items()}


def _judge(chosen: Tensor, regions: Tensor, region_mask: Tensor, boxes: Tensor, box_mask: Tensor) -> dict[str, Tensor]:
    regions, boxes = regions.double(), boxes.double()
    whole = regions.new_tensor(WHOLE_PICTURE)
    candidates = torch.cat([regions, whole.expand(len(regions), 1, 4)], 1)  # the last one: the whole picture
    best = box_iou(candidates, boxes).masked_fill(~box_mask[:, None], 0).amax(2)  # (phrases, regions + 1)
    best, of_whole = best[:, :-1].masked_fill(~region_mask, 0), best[:, -1]
    right = best >= OVERLAP
    area = box_area(regions).masked_fill((regions == whole).all(2), -1)  # the whole picture only where nothing else is
    largest = area.masked_fill(~region_mask, -2).argmax(1, keepdim=True)

    found, row = chosen >= 0, chosen.clamp(min=0)[:, None]
    region = regions.gather(1, row[..., None].expand(-1, 1, 4))[:, 0]
    centre = (region[:, :2] + region[:, 2:]) / 2
    return {
        "iou50": right.gather(1, row)[:, 0] & found,
        "pointing": _inside(centre, boxes, box_mask) & found,
        "pointing_centre": _inside(torch.full_like(centre, 0.5), boxes, box_mask),
        "mean_iou": best.gather(1, row)[:, 0] * found,
        "area": box_area(region) * found,
        "area_true": box_area(boxes).masked_fill(~box_mask, 0).amax(1),
        "upper_bound": right.any(1),
        "baseline_whole": of_whole >= OVERLAP,
        "baseline_largest": right.gather(1, largest)[:, 0],
        "baseline_random": right.sum(1) / region_mask.sum(1),
    }


def _inside(point: Tensor, boxes: Tensor, box_mask: Tensor) -> Bool[Tensor, " phrases"]:
    point = point[:, None]
    return (((point >= boxes[..., :2]) & (point <= boxes[..., 2:])).all(2) & box_mask).any(1)


def _check(chosen: Tensor, regions: Tensor, region_mask: Tensor, boxes: Tensor, box_mask: Tensor) -> None:
    n = len(chosen)
    if not n:
        raise ValueError("there must be at least one phrase")
    for name, part, mask in (("region", regions, region_mask), ("true box", boxes, box_mask)):
        if len(part) != n or part.shape != (*mask.shape, 4):
            raise ValueError(
                f"{n} phrases need {name} coordinates [phrases, n, 4] and a mask [phrases, n], got {tuple(part.shape)} "
                f"and {tuple(mask.shape)}"
            )
        if not mask.any(1).all():
            raise ValueError(f"phrase {int((~mask.any(1)).nonzero()[0])} has no {name}: leave it out")
    outside = (chosen < -1) | (chosen >= regions.shape[1])
    outside |= (chosen >= 0) & ~region_mask.gather(1, chosen.clamp(0, regions.shape[1] - 1)[:, None])[:, 0]
    if outside.any():
        k = int(outside.nonzero()[0])
        raise ValueError(
            f"the region {int(chosen[k])} of phrase {k} is not real: its picture has {int(region_mask[k].sum())}"
        )


@torch.inference_mode()
def evaluate_grounding(
    model: AlignmentModel, pairs: Pairs, beta: float | None = None, batch_size: int = 500
) -> dict[str, float]:
    """:func:`grounding_metrics` of everything: each phrase of the pairs, by the regions that the model gives its words.

    A phrase of which the vocabulary knows no word counts as wrong. Pictures without features are not in the pairs,
    which said so when they were made.

    Args:
        model: a trained alignment model; it is run without dropout, and left as it was.
        pairs: of a data set whose phrases are linked to boxes.
        beta: None for the highest summed product of a phrase's words; a number for the chain's best path with this
            reward for staying, in units of the spread of each sentence's products, and the majority of the words.
        batch_size: sentences at once.

    Raises:
        ValueError: as :func:`linked_phrases`, for a batch_size below 1, or a negative beta.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    phrases = linked_phrases(pairs)
    chosen = torch.full_like(phrases.picture, -1)
    known = (phrases.start < phrases.stop).nonzero()[:, 0]
    sentences, sentence = phrases.pair[known].unique(return_inverse=True)
    device, training = next(model.parameters()).device, model.training
    model.eval()
    try:
        for first in range(0, len(sentences), batch_size):
            batch = pairs.batch(sentences[first : first + batch_size])
            unary = model.products(batch.to(device)).cpu()
            here = (sentence >= first) & (sentence < first + batch_size)
            rows, own = known[here], sentence[here] - first
            path = None
            if beta is not None:
                reward = relative_beta(unary, batch.word_mask, batch.region_mask, beta)
                path = best_path(unary, batch.word_mask, batch.region_mask, reward)[0][own]
            chosen[rows] = phrase_regions(
                unary[own], batch.region_mask[own], phrases.start[rows], phrases.stop[rows], path
            )
    finally:
        model.train(training)
    pictures, picture = phrases.picture.unique(return_inverse=True)
    parts = [pairs.pictures(rows.tolist())[1:] for rows in pictures.split(batch_size)]
    region_mask, regions = (torch.cat(part)[picture] for part in zip(*parts, strict=True))
    return grounding_metrics(chosen, regions, region_mask, phrases.boxes, phrases.box_mask)
