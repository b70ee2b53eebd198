"""Building an index of pictures: v of all regions streams to disk, then FAISS learns one vector a picture.

Both stages go on where they were stopped. Memory holds a batch of pictures, a sample that FAISS learns from, and
FAISS's own index of one vector a picture.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from tqdm import tqdm

from vsa_lite.alignment.model import AlignmentModel
from vsa_lite.alignment.scores import Normalisation, Score
from vsa_lite.regions.store import FeatureStore, StoreError, StoreWriter
from vsa_lite.searching.index import FORMAT, IndexFolderError, PictureIndex, faiss_library

if TYPE_CHECKING:
    import faiss

EXACT_BELOW = 10_000  # pictures: so few means are compared faster than lists are looked up
PROBED = 1 / 16  # share of the lists that a search looks into
SAMPLE_PER_LIST = 50
BATCH = 5000  # pictures whose means are taken at once


def mean_regions(
    v: Float[Tensor, "images regions h"], mask: Bool[Tensor, "images regions"]
) -> Float[Tensor, "images h"]:
    """The mean of each picture's real regions: the one vector that candidates are found by."""
    return (v * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def model_digest(model: AlignmentModel) -> str:
    """Names what embeds the regions: W_m, b_m and how features are standardised."""
    digest = hashlib.sha256(json.dumps(model.config_dict(), sort_keys=True).encode())
    for name, tensor in sorted(model.state_dict().items()):
        if name.startswith(("regions.", "feature_")):
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def candidate_kind(pictures: int) -> str:
    """The FAISS index, in FAISS's words, for so many pictures: every mean, or lists of near ones.

    There are about 4 sqrt(n) lists, a power of two; means are kept as float16.
    """
    if pictures < EXACT_BELOW:
        return "Flat"
    return f"IVF{2 ** round(np.log2(4 * pictures**0.5))},SQfp16"


def build_candidates(
    vectors: FeatureStore, kind: str | None = None, seed: int = 0, progress: bool = True
) -> faiss.Index:
    """The FAISS index of one vector a picture.

    Args:
        vectors: v of all pictures.
        kind: in FAISS's words, "IVF4096,PQ64" for example; None for :func:`candidate_kind`.
        seed: chooses the pictures that FAISS learns lists and codes from.
        progress: show a bar.

    Raises:
        ValueError: for a kind that FAISS does not know, or that has more to learn than there are pictures.
        ImportError: without FAISS.
    """
    library, n = faiss_library(), len(vectors)
    kind = kind or candidate_kind(n)
    try:
        index = library.index_factory(vectors.feature_size, kind, library.METRIC_INNER_PRODUCT)
        if not index.is_trained:
            count = min(n, max(SAMPLE_PER_LIST * getattr(index, "nlist", 0), 20_000))
            sample = np.sort(np.random.default_rng(seed).choice(n, count, replace=False))
            index.train(np.concatenate([_means(vectors, rows) for rows in np.array_split(sample, 1 + count // BATCH)]))
    except RuntimeError as error:
        reason = re.sub(r"(?s).* at \S+:\d+: ", "", str(error))  # without the place in FAISS's own source
        raise ValueError(f"no candidates' index {kind!r} of {n} pictures: {reason}") from error
    for start in tqdm(range(0, n, BATCH), desc="candidates", disable=not progress):
        index.add(_means(vectors, slice(start, start + BATCH)))
    return index


def _means(vectors: FeatureStore, rows: slice | np.ndarray) -> np.ndarray:
    v = torch.from_numpy(np.array(vectors.features[rows])).float()
    return mean_regions(v, torch.from_numpy(np.array(vectors.mask[rows]))).numpy()


def finish_index(
    path: str | Path,
    score: Score = "max",
    normalisation: Normalisation = "sum",
    kind: str | None = None,
    probes: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> PictureIndex:
    """From vectors that lie ready in a folder to an index: makes the candidates, then writes `index.json`.

    What is finished in the same way is left as it is.

    Args:
        path: folder of the index, with a finished store in `vectors/`.
        score, normalisation: as for :func:`~vsa_lite.alignment.scores.alignment_scores`.
        kind: of the candidates' index; see :func:`build_candidates`.
        probes: how many of its lists a search looks into; None for one in sixteen.
        seed, progress: see :func:`build_candidates`.

    Raises:
        ValueError: for probes below 1, or as :func:`build_candidates`.
        StoreError: without vectors.
    """
    path = Path(path)
    if probes is not None and probes < 1:
        raise ValueError(f"probes must be at least 1, got {probes}")
    vectors = FeatureStore(path / "vectors")
    kind = kind or candidate_kind(len(vectors))
    made = {"format": FORMAT, "pictures": len(vectors), "kind": kind, "score": score, "normalisation": normalisation}
    lists = int(kind[3:].partition(",")[0]) if re.match(r"IVF\d+", kind) else 0
    made["probes"] = (probes or max(8, round(lists * PROBED))) if lists else 0
    if (path / "index.json").exists() and PictureIndex(path).about == made:
        return PictureIndex(path)
    index = build_candidates(vectors, kind, seed, progress)
    faiss_library().write_index(index, str(path / "candidates.faiss.part"))
    (path / "index.json.part").write_text(json.dumps(made, indent=1), encoding="utf-8")
    (path / "index.json").unlink(missing_ok=True)  # never an old one beside new candidates
    for name in ("candidates.faiss", "index.json"):
        os.replace(path / f"{name}.part", path / name)
    return PictureIndex(path)


def build_index(
    model: AlignmentModel,
    store: FeatureStore,
    path: str | Path,
    *,
    regions: int | None = None,
    kind: str | None = None,
    probes: int | None = None,
    batch_size: int = 200,
    seed: int = 0,
    restart: bool = False,
    progress: bool = True,
) -> PictureIndex:
    """Make an index of all pictures of a feature store that could be read.

    Args:
        model: a trained alignment model; in eval mode afterwards.
        store: features of the kind that it was trained on.
        path: folder of the index; one that was begun from the same model and features goes on.
        regions: use only the first so many regions of a picture, as the model was trained.
        kind, probes, seed: of the candidates; see :func:`finish_index`.
        batch_size: pictures that are embedded at once.
        restart: throw away what is there.
        progress: show bars.

    Raises:
        ValueError: for a number below 1, features of another size, or a store without pictures.
        IndexFolderError: if the folder holds an index of something else.
        ImportError: without FAISS; before anything is written.
    """
    path = Path(path)
    for name, value in (("regions", regions), ("probes", probes), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    faiss_library()
    rows = np.flatnonzero(store.mask[:, 0])
    if not len(rows):
        raise ValueError(f"{store.path} holds no picture that could be read: there is nothing to index")
    stop = min(regions or store.mask.shape[1], store.mask.shape[1])
    provenance = {"features": {**store.provenance, "failures": None}, "model": model_digest(model)}
    try:
        writer = StoreWriter(
            path / "vectors", store.image_ids[rows], stop, model.config.embedding_size, provenance, restart
        )
    except StoreError as error:
        raise IndexFolderError(f"{error} (the index {path})") from error
    todo = writer.todo
    if len(todo):
        (path / "index.json").unlink(missing_ok=True)
    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        for start in tqdm(range(0, len(todo), batch_size), desc="pictures", disable=not (progress and len(todo))):
            part = todo[start : start + batch_size]
            features = torch.from_numpy(np.array(store.features[rows[part], :stop])).float()
            mask = torch.from_numpy(np.array(store.mask[rows[part], :stop]))
            v = model.embed_regions(features.to(device), mask.to(device)).cpu().numpy()
            writer.write(part, v, store.boxes[rows[part], :stop], mask.numpy())
    writer.close()
    config = model.config
    return finish_index(path, config.score, config.normalisation, kind, probes, seed, progress)
