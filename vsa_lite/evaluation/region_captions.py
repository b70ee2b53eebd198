"""What people say about single regions: the references that captions of regions are measured against (chapter 12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vsa_lite.data.records import Dataset
from vsa_lite.regions.boxes import box_iou
from vsa_lite.regions.store import FeatureStore


@dataclass(frozen=True)
class RegionReferences:
    """Regions that show a thing, and the phrases that people used for it.

    Attributes:
        image_ids: the picture of each region; [n].
        regions: its index in the store; [n].
        features: CNN(I_b) of each; [n, d], float32.
        references: for each region, one or more phrases as words.
        without_region: things with phrases that no region shows well enough; they are left out.
    """

    image_ids: Int[Tensor, " n"]
    regions: Int[Tensor, " n"]
    features: Float[Tensor, "n d"]
    references: list[list[tuple[str, ...]]]
    without_region: int

    def __len__(self) -> int:
        return len(self.references)


def region_references(dataset: Dataset, store: FeatureStore, minimum_iou: float = 0.5) -> RegionReferences:
    """For every thing that phrases speak of, the region that shows it best, and those phrases.

    A phrase that may stand for several things ("the dog", of two) is a reference for each of them; one that names
    several at once cannot be told from it and is a reference too.

    Args:
        dataset: records with boxes and linked phrases.
        store: features of its pictures.
        minimum_iou: a thing counts if its best region has at least this IoU with its box.

    Raises:
        ValueError: if no thing is left.
    """
    image_ids, regions, references, left_out = [], [], [], 0
    for record in dataset:
        if record.boxes is None or record.image_id not in store:
            continue
        said: dict[int, list[tuple[str, ...]]] = {}
        for sentence in record.sentences:
            for phrase in sentence.phrases:
                for box in phrase.boxes:
                    said.setdefault(box, []).append(tuple(sentence.tokens[phrase.start : phrase.stop]))
        if not said:
            continue
        _, mask, boxes = store.read([record.image_id])
        iou = box_iou(torch.from_numpy(np.asarray(record.boxes, dtype=np.float32)), boxes[0]) * mask[0]
        best, where = iou.max(1)
        for thing, phrases in said.items():
            if best[thing] >= minimum_iou:
                image_ids.append(record.image_id)
                regions.append(int(where[thing]))
                references.append(phrases)
            else:
                left_out += 1
    if not references:
        raise ValueError(f"{dataset.name} has no thing with a phrase and a region of IoU {minimum_iou} or more")
    features = _features(store, image_ids, regions)
    return RegionReferences(torch.tensor(image_ids), torch.tensor(regions), features, references, left_out)


def _features(store: FeatureStore, image_ids: Sequence[int], regions: Sequence[int]) -> Tensor:
    rows = store.rows(image_ids)
    return torch.from_numpy(store.features[rows, np.asarray(regions)]).float()
