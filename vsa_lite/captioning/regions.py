"""Model 1 teaches model 2: pairs of a region and a snippet, from the alignment that was inferred (chapter 12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vsa_lite.alignment.chain import segments
from vsa_lite.data.batches import Batch, pad_tokens
from vsa_lite.regions.store import FeatureStore


@dataclass(frozen=True)
class RegionPair:
    """A snippet, and the region that the alignment gave it.

    Attributes:
        image_id: the picture.
        region: index of the region in the feature store; 0 is the whole picture.
        tokens: word indices of the snippet, in order.
    """

    image_id: int
    region: int
    tokens: tuple[int, ...]


def region_pairs(
    image_ids: Int[Tensor, " pairs"],
    paths: Int[Tensor, "pairs words"],
    tokens: Int[Tensor, "pairs words"],
    word_mask: Bool[Tensor, "pairs words"],
    minimum_words: int = 2,
    maximum_words: int | None = None,
    skip_whole_image: bool = False,
) -> list[RegionPair]:
    """Cut sentences where the region of the alignment changes: one pair for each longest run a_j = a_{j+1}.

    Args:
        image_ids: the picture of each sentence.
        paths: a_1 .. a_N, the region of each word, as chain decoding gives it; int64. Padded places are not read.
        tokens: the words; int64.
        word_mask: True where a word is real, padding on the right.
        minimum_words: shorter runs are left out. By default 2: a run of one word is most often an article or a
            preposition that hangs between two regions.
        maximum_words: longer runs are left out, not cut; None keeps them all. With few words a region model learns
            names of things rather than sentences.
        skip_whole_image: leave out region 0, the whole picture. By default it is a region like the others, as in the
            paper; scenery and what was never boxed is said there.

    Returns:
        The pairs, sentence after sentence, in the order of their words.

    Raises:
        ValueError: for shapes that do not fit, limits that leave nothing, or a negative region.

    Source: Karpathy and Fei-Fei 2015, sections 3.1.4 and 3.2.
    """
    if not paths.shape == tokens.shape == word_mask.shape or image_ids.shape != paths.shape[:1]:
        raise ValueError(
            "paths, tokens and word_mask must have one shape and image_ids its first size; got "
            f"{tuple(paths.shape)}, {tuple(tokens.shape)}, {tuple(word_mask.shape)} and {tuple(image_ids.shape)}"
        )
    if minimum_words < 1:
        raise ValueError(f"minimum_words must be at least 1, got {minimum_words}")
    if maximum_words is not None and maximum_words < minimum_words:
        raise ValueError(f"maximum_words must be at least minimum_words ({minimum_words}), got {maximum_words}")
    if (word_mask & (paths < 0)).any():
        raise ValueError("paths holds a negative region where a word is real: it is not a decoded path")

    sentences, regions, counts = segments(paths, word_mask)
    keep = counts >= minimum_words
    if maximum_words is not None:
        keep &= counts <= maximum_words
    if skip_whole_image:
        keep &= regions != 0
    owners = image_ids[sentences].tolist()
    flat, stops = tokens[word_mask].tolist(), counts.cumsum(0).tolist()
    chosen = zip(owners, regions.tolist(), counts.tolist(), stops, keep.tolist(), strict=True)
    return [RegionPair(i, r, tuple(flat[stop - n : stop])) for i, r, n, stop, kept in chosen if kept]


class RegionSnippets:
    """Batches of (region, snippet) pairs for :class:`~vsa_lite.captioning.rnn.MultimodalRNN`.

    Args:
        pairs: from :func:`region_pairs`.
        store: the features that the alignment saw.

    Raises:
        ValueError: if there is no pair, or a pair of a region that the store does not have.
    """

    def __init__(self, pairs: Sequence[RegionPair], store: FeatureStore) -> None:
        if not pairs:
            raise ValueError("there is no (region, snippet) pair to learn from")
        self.pairs, self.store = list(pairs), store
        self.image_ids = torch.tensor([pair.image_id for pair in pairs])
        self._rows = store.rows(self.image_ids.tolist())
        self._regions = np.array([pair.region for pair in pairs])
        if self._regions.max() >= store.mask.shape[1] or not store.mask[self._rows, self._regions].all():
            raise ValueError(f"a pair has a region that {store.path} does not have: it is of another store")

    def __len__(self) -> int:
        return len(self.pairs)

    def features(self, indices: Sequence[int] | slice = slice(None)) -> Float[Tensor, "pairs d"]:
        """CNN(I_b) of the region of each pair; float32."""
        return torch.from_numpy(self.store.features[self._rows[indices], self._regions[indices]]).float()

    def batch(self, indices: Sequence[int] | Int[Tensor, " pairs"]) -> Batch:
        """The pairs with these numbers, each with its one region."""
        chosen = np.asarray(indices)
        tokens, word_mask = pad_tokens([self.pairs[i].tokens for i in chosen.tolist()])
        boxes = torch.from_numpy(self.store.boxes[self._rows[chosen], self._regions[chosen]])[:, None]
        mask = torch.ones(len(chosen), 1, dtype=torch.bool)
        return Batch(self.image_ids[chosen], self.features(chosen)[:, None], mask, boxes, tokens, word_mask)
