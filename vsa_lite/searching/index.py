r"""An index of pictures: which of a million fit a sentence best by eq. 8, without scoring a million.

Eq. 8 is what retrieval people call *MaxSim late interaction*, and is searched as they do it, in two stages: something
cheap finds candidates, and only these are scored by eq. 8 itself. Two kinds of candidates can be had.

- Codewords (the default). Words are few, however many the pictures: k-means puts their directions into some hundred
  groups, each with a codeword u_c, and the table :math:`m_{ck} = \max_i v_{ki} \cdot u_c` is made once. A word counts
  as its share of the nearest u_c, and eq. 8 of every picture is then a sum of a few rows of the table.
- FAISS over one vector a picture, the mean of its regions, compared with the sum of the sentence's words: eq. 8 with a
  mean in place of the maximum. Smaller, but it misses more, the more the regions of a picture differ.

An index is a folder: `vectors/`, a feature store whose features are v (float16, memory-mapped, never whole in memory);
`codewords.npy` and `products.npy`, or `candidates.faiss`; and `index.json`, which is written last.
"""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vsa_lite.alignment.scores import alignment_scores
from vsa_lite.evaluation.ranking import score_all
from vsa_lite.regions.store import FeatureStore

if TYPE_CHECKING:
    import faiss

FORMAT = "vsa-lite index 1"
BLOCK = 8_000_000  # numbers of v that the exact search holds at once
CANDIDATES = 3000


class IndexFolderError(ValueError):
    """An index that is missing, unfinished, damaged, or made from something else."""


def faiss_library() -> ModuleType:
    """FAISS, imported only now: every index is built by it, and one without codewords searched.

    Raises:
        ImportError: if it is not installed; says how to.
    """
    try:
        import faiss
    except ImportError as error:
        raise ImportError("an index of pictures needs FAISS: pip install 'vsa-lite[scale]'") from error
    return faiss


class PictureIndex:
    """A finished index, open for searching.

    Args:
        path: folder that :func:`~vsa_lite.searching.building.build_index` made.

    Attributes:
        about: `score` and `normalisation` of the model, `pictures`, and of the candidates `kind`, the number of
            `codewords` (0 for an index of FAISS's) and `probes`.
        vectors: v of all regions, with boxes, masks and image ids.

    Raises:
        IndexFolderError: if there is none, or it is unfinished or damaged.
        StoreError: if its vectors are damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            self.about = json.loads((self.path / "index.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            state = "unfinished: index again, it goes on" if (self.path / "vectors").exists() else "not there"
            raise IndexFolderError(f"the index {self.path} is {state}; `vsa-lite index` makes one") from None
        except ValueError as error:
            raise IndexFolderError(f"{self.path / 'index.json'} is damaged: index again, with restart") from error
        if not isinstance(self.about, dict) or self.about.get("format") != FORMAT:
            raise IndexFolderError(f"{self.path / 'index.json'} is not of the format {FORMAT!r}: index again")
        self.vectors = FeatureStore(self.path / "vectors")
        if len(self.vectors) != self.about["pictures"]:
            raise IndexFolderError(
                f"{self.path} is damaged: vectors of {len(self.vectors)} pictures, not {self.about['pictures']}"
            )

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def embedding_size(self) -> int:
        """h, the size of one vector."""
        return self.vectors.feature_size

    @cached_property
    def faiss_index(self) -> faiss.Index:
        """The FAISS index of one vector a picture; read when it is first asked for.

        Raises:
            ImportError: without FAISS.
            IndexFolderError: if the file is missing or damaged.
        """
        library, path = faiss_library(), self.path / "candidates.faiss"
        try:
            found = library.read_index(str(path))
        except RuntimeError as error:
            raise IndexFolderError(f"{path} is missing or damaged: index again, with restart") from error
        if found.ntotal != len(self) or found.d != self.embedding_size:
            raise IndexFolderError(
                f"{path} holds {found.ntotal} vectors of size {found.d}, not {len(self)} of size "
                f"{self.embedding_size}: index again, with restart"
            )
        if self.about["probes"]:
            found.nprobe = self.about["probes"]
        return found

    @cached_property
    def codewords(self) -> tuple[Float[Tensor, "codewords h"], Float[np.ndarray, "codewords pictures"]]:
        """Directions u_c (float32) and the table m_ck (float16, memory-mapped); opened when they are first asked for.

        Raises:
            IndexFolderError: if a file is missing or damaged.
        """
        arrays = []
        for name, size, dtype in (("codewords", self.embedding_size, "float32"), ("products", len(self), "float16")):
            path = self.path / f"{name}.npy"
            try:
                array = np.load(path, mmap_mode="c", allow_pickle=False)  # torch takes no array that is read-only
            except (OSError, ValueError, EOFError) as error:
                raise IndexFolderError(f"{path} is missing or damaged: index again, with restart") from error
            if array.shape != (self.about["codewords"], size) or array.dtype != dtype:
                raise IndexFolderError(
                    f"{path} is {array.dtype} {array.shape}, not {dtype} {(self.about['codewords'], size)}: index "
                    "again, with restart"
                )
            arrays.append(array)
        return torch.from_numpy(np.array(arrays[0])), arrays[1]

    @torch.inference_mode()
    def search(
        self,
        words: Float[Tensor, "sentences words h"],
        word_mask: Bool[Tensor, "sentences words"],
        k: int = 10,
        candidates: int = CANDIDATES,
        exact: bool = False,
    ) -> tuple[Int[Tensor, "sentences found"], Float[Tensor, "sentences found"]]:
        r"""The k pictures that fit each sentence best, best first.

        Every score given is eq. 8, :math:`\sum_t \max_i v_i \cdot s_t` (or the score that the model was trained with),
        of v as stored. Only which pictures are looked at is approximate.

        Args:
            words: s of each sentence, as `embed_words` gives it; float32.
            word_mask: True where a word is real.
            k: how many pictures, at least 1; all there are, if there are fewer.
            candidates: how many pictures of each sentence are scored, at least k. With all of them nothing is missed.
            exact: score every picture, block by block. Slow.

        Returns:
            Image ids and scores; equal scores stand in the order of the index.

        Raises:
            ValueError: for a number below 1, fewer candidates than k, vectors of another size, or a sentence without
                words.
            ImportError: for candidates of FAISS's, if it is not installed.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        if words.shape[-1] != self.embedding_size:
            raise ValueError(
                f"words have size {words.shape[-1]}, vectors of {self.path} size {self.embedding_size}: embed "
                "sentences by the model that the index was made with"
            )
        if word_mask.shape != words.shape[:2] or not word_mask.any(1).all():
            raise ValueError(f"word_mask must be {tuple(words.shape[:2])}, with at least one word in each sentence")
        k = min(k, len(self))
        if exact or candidates >= len(self):
            rows, scores = self._scan(words, word_mask, k)
        elif candidates < k:
            raise ValueError(f"candidates must be at least k, {k}, got {candidates}")
        else:
            near = self.near(words, word_mask, candidates)
            best = [
                self._rank(sentence[mask], row, k) for sentence, mask, row in zip(words, word_mask, near, strict=True)
            ]
            rows, scores = (torch.stack(parts) for parts in zip(*best, strict=True))
        return torch.from_numpy(self.vectors.image_ids[rows.numpy()]), scores

    def near(
        self, words: Float[Tensor, "sentences words h"], word_mask: Bool[Tensor, "sentences words"], candidates: int
    ) -> Int[np.ndarray, "sentences candidates"]:
        """The first stage: rows of the pictures that seem to fit best; -1 where FAISS finds no more."""
        if self.about["codewords"]:
            return np.stack(
                [
                    self.estimate(s[real]).topk(candidates).indices.numpy()
                    for s, real in zip(words, word_mask, strict=True)
                ]
            )
        sums = (words * word_mask[..., None]).sum(1)
        return self.faiss_index.search(np.ascontiguousarray(sums.numpy(), dtype=np.float32), candidates)[1]

    def estimate(self, words: Float[Tensor, "words h"]) -> Float[Tensor, " pictures"]:
        r"""What eq. 8 gives every picture if each word of a sentence is replaced by its share of the nearest codeword.

        :math:`\sum_t (s_t \cdot u_c)\, m_{ck}` with c the codeword of the largest :math:`s_t \cdot u_c`.
        """
        directions, table = self.codewords
        share, nearest = (words @ directions.T).max(1)
        total = torch.zeros(len(self))
        for row, weight in zip(nearest.tolist(), share.tolist(), strict=True):
            total.add_(torch.from_numpy(table[row]), alpha=weight)
        return total

    def _rank(self, words: Tensor, near: np.ndarray, k: int) -> tuple[Tensor, Tensor]:
        """The second stage: the best k of one sentence's candidates, rows and scores."""
        near = np.sort(near[near >= 0])  # in the order of the file; so equal scores stay in it too
        if len(near) < k:  # the lists that FAISS looked into hold too few
            rows, scores = self._scan(words[None], torch.ones(1, len(words), dtype=torch.bool), k)
            return rows[0], scores[0]
        real = torch.ones(1, len(words), dtype=torch.bool)
        scores = alignment_scores(
            *self.vectors.at(near)[:2], words[None], real, self.about["score"], self.about["normalisation"]
        )[:, 0]
        order = scores.argsort(descending=True, stable=True)[:k]
        return torch.from_numpy(near)[order], scores[order]

    def _scan(self, words: Tensor, word_mask: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Every picture, block by block, keeping the best k of each sentence: rows and scores."""
        best = torch.empty(len(words), 0)
        rows = torch.empty(len(words), 0, dtype=torch.int64)
        step = max(k, BLOCK // (self.vectors.mask.shape[1] * self.embedding_size))
        for start in range(0, len(self), step):
            v, mask, _ = self.vectors.at(slice(start, start + step))
            block = score_all(v, mask, words, word_mask, self.about["score"], self.about["normalisation"]).T
            number = torch.arange(start, start + len(v)).expand(len(words), -1)
            # those kept so far come first: a stable sort leaves equal scores in the order of the index
            best, rows = torch.cat([best, block], 1), torch.cat([rows, number], 1)
            order = best.argsort(dim=1, descending=True, stable=True)[:, :k]
            best, rows = best.gather(1, order), rows.gather(1, order)
        return rows, best
