"""Pairs of a picture and a sentence, made into batches from a feature store and a data set."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from vsa_lite.data.batches import Batch, pad_tokens
from vsa_lite.data.records import Dataset
from vsa_lite.regions.store import FeatureStore
from vsa_lite.words.vocabulary import Vocabulary


class Pairs:
    """Every (picture, sentence) pair of a data set, in its order.

    Pictures that the store could not read, and sentences without a known word, are left out with one warning that
    counts them.

    Args:
        dataset: usually one split.
        store: features of at least its pictures.
        vocabulary: turns tokens into indices; unknown words are dropped.
        regions: use only the first so many regions of each picture; 1 is the whole picture alone.
        mirrored: features of the same pictures seen in a mirror (`extract_features` with `mirror`). Every pair then
            counts twice: item i + n is pair i, of n, with the mirrored picture.

    Attributes:
        image_ids: the pictures, in order; [images].
        sentence_image: the row of each sentence's picture in `image_ids`; [sentences].
        tokens: word indices of each sentence.

    Raises:
        ValueError: if a store was made from another data set, the mirrored one is none or in another way, or nothing
            is left.
        StoreError: if the mirrored store lacks a picture.
    """

    def __init__(
        self,
        dataset: Dataset,
        store: FeatureStore,
        vocabulary: Vocabulary,
        regions: int | None = None,
        mirrored: FeatureStore | None = None,
    ) -> None:
        if regions is not None and regions < 1:
            raise ValueError(f"regions must be at least 1 (the whole picture), got {regions}")
        made_from = store.provenance.get("dataset", dataset.name)
        if made_from != dataset.name:  # image ids alone may fit by chance
            raise ValueError(f"{store.path} holds features of {made_from!r}, not of {dataset.name!r}")
        if mirrored is not None:
            wanted = {**store.provenance, "mirrored": True, "failures": None}
            changed = [key for key in wanted if wanted[key] != {**mirrored.provenance, "failures": None}.get(key)]
            if changed:
                raise ValueError(f"{mirrored.path} is no mirrored {store.path}: {', '.join(changed)} differ")
        self.store, self.vocabulary, self.regions, self.mirrored = store, vocabulary, regions, mirrored
        self.records, self.tokens, rows, without_words = [], [], [], 0
        self.sentences = []  # (picture's row, the sentence's number in its record)
        missing = [record.name for record in dataset if record.image_id not in store]
        for record in dataset:
            if record.image_id not in store:
                continue
            for number, sentence in enumerate(record.sentences):
                tokens = vocabulary.encode(sentence.tokens)
                if tokens:
                    self.tokens.append(tokens)
                    rows.append(len(self.records))
                    self.sentences.append((len(self.records), number))
                else:
                    without_words += 1
            self.records.append(record)
        if missing or without_words:
            named = f" ({', '.join(missing[:3])}{', ...' if len(missing) > 3 else ''})" if missing else ""
            warnings.warn(
                f"left out {len(missing)} pictures without features{named} and {without_words} sentences "
                "without a known word",
                stacklevel=2,
            )
        if not self.tokens:
            raise ValueError(f"{dataset.name}: no pair of a picture with features and a sentence with known words")
        self.image_ids = np.array([record.image_id for record in self.records])
        self.sentence_image = torch.tensor(rows)
        self._store_rows = store.rows(self.image_ids)
        self._mirrored_rows = mirrored.rows(self.image_ids) if mirrored is not None else None

    def __len__(self) -> int:
        return len(self.tokens) * (1 if self.mirrored is None else 2)

    def _read(self, images: np.ndarray, mirrored: np.ndarray | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Features, mask and boxes of pictures, by row in `image_ids`; `mirrored` says which are seen in the mirror."""
        if mirrored is None or not mirrored.any():
            parts = self.store.at(self._store_rows[images], self.regions)
        else:
            plain = self.store.at(self._store_rows[images[~mirrored]], self.regions)
            turned = self.mirrored.at(self._mirrored_rows[images[mirrored]], self.regions)
            parts = tuple(new.new_empty(len(images), *new.shape[1:]) for new in plain)
            for part, one, other in zip(parts, plain, turned, strict=True):
                part[~mirrored], part[mirrored] = one, other
        if not parts[0].sum().isfinite():
            bad = int(self.image_ids[images[int((~parts[0].isfinite()).nonzero()[0, 0])]])
            raise ValueError(
                f"{self.store.path}: features of the picture with image id {bad} are not finite; extract them again"
            )
        return parts

    def batch(self, indices: Sequence[int] | Int[Tensor, " pairs"]) -> Batch:
        """The items with these numbers."""
        indices = torch.as_tensor(indices)
        mirrored, pair = (indices >= len(self.tokens)).numpy(), indices % len(self.tokens)
        images = self.sentence_image[pair].numpy()
        tokens, word_mask = pad_tokens([self.tokens[i] for i in pair.tolist()])
        features, region_mask, boxes = self._read(images, mirrored)
        return Batch(torch.from_numpy(self.image_ids[images]), features, region_mask, boxes, tokens, word_mask)

    def pictures(self, rows: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Features, mask and boxes of pictures, by their row in `image_ids`."""
        return self._read(np.asarray(rows))

    def feature_statistics(self, sample: int = 2000) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each feature over the real regions of up to `sample` pictures."""
        rows = np.unique(np.linspace(0, len(self.image_ids) - 1, min(sample, len(self.image_ids))).astype(int))
        features, mask, _ = self.pictures(rows)
        real = features[mask]
        return real.mean(0), real.std(0, correction=0).clamp(min=1e-3)
