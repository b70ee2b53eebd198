"""Building an index of pictures: v of all regions streams to disk, then what finds candidates is learned and made.

The first stage goes on where it was stopped. Memory holds a batch of pictures, a sample to learn from, and FAISS's own
index of one vector a picture if that is wanted; the table of codewords is written as it is made.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from tqdm import tqdm

from vsa_lite.alignment.model import AlignmentModel
from vsa_lite.alignment.scores import Normalisation, Score
from vsa_lite.data.batches import pad_tokens
from vsa_lite.evaluation.ranking import score_all
from vsa_lite.regions.store import FeatureStore, StoreError, StoreWriter
from vsa_lite.searching.index import FORMAT, IndexFolderError, PictureIndex, faiss_library
from vsa_lite.words.vocabulary import Vocabulary

if TYPE_CHECKING:
    import faiss

KIND = "codewords256"
PROBED = 1 / 16  # share of FAISS's lists that a search looks into
SAMPLE_PER_LIST = 50
BATCH = 2000  # pictures that stand in memory at once
SENTENCES = 5000  # to learn codewords from


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


def random_sentences(vocabulary: Vocabulary, count: int = SENTENCES, seed: int = 0) -> list[list[int]]:
    """Sentences of 4 to 15 words drawn by how often each occurs: to learn codewords from, where there are no others."""
    rng = np.random.default_rng(seed)
    counts = np.array([0, *vocabulary.counts[1:]], dtype=np.float64)  # END is no word
    return [rng.choice(len(counts), length, p=counts / counts.sum()).tolist() for length in rng.integers(4, 16, count)]


def embed_sample(model: AlignmentModel, sentences: Sequence[Sequence[int]]) -> Float[Tensor, "words h"]:
    """s of all words of some sentences, one after another."""
    device, parts = next(model.parameters()).device, []
    with torch.inference_mode():
        for start in range(0, len(sentences), 500):
            tokens, mask = (part.to(device) for part in pad_tokens(sentences[start : start + 500]))
            parts.append(model.embed_words(tokens, mask)[mask].cpu())
    return torch.cat(parts)


def learn_codewords(words: Float[Tensor, "words h"], count: int, seed: int = 0) -> Float[Tensor, "codewords h"]:
    """Directions of words in so many groups, by k-means of vectors of length 1.

    Raises:
        ValueError: for fewer words (of a length above 0) than codewords.
        ImportError: without FAISS.
    """
    words = words[words.norm(dim=1) > 0]
    if not 1 <= count <= len(words):
        raise ValueError(f"codewords must be 1 to the number of words to learn from, {len(words)}, got {count}")
    unit = torch.nn.functional.normalize(words, dim=1).numpy()
    options = {"niter": 15, "spherical": True, "min_points_per_centroid": 1, "seed": seed}
    means = faiss_library().Kmeans(words.shape[1], count, **options)
    means.train(unit)
    return torch.from_numpy(means.centroids.copy())


def write_products(
    vectors: FeatureStore,
    codewords: Float[Tensor, "codewords h"],
    path: str | Path,
    score: Score = "max",
    progress: bool = True,
) -> None:
    r"""The table :math:`m_{ck} = \max_i v_{ki} \cdot u_c` of all pictures, float16 [codewords, pictures], as a file.

    For eq. 7 it is :math:`\sum_i \max(0, v_{ki} \cdot u_c)`: what one word u_c gives the picture.
    """
    n = len(vectors)
    table = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(len(codewords), n))
    one = torch.ones(len(codewords), 1, dtype=torch.bool)
    for start in tqdm(range(0, n, BATCH), desc="codewords", disable=not progress):
        rows = slice(start, start + BATCH)
        table[:, rows] = score_all(*vectors.at(rows)[:2], codewords[:, None], one, score).T.numpy()
    table.flush()


def build_candidates(vectors: FeatureStore, kind: str, seed: int = 0, progress: bool = True) -> faiss.Index:
    """The FAISS index of one vector a picture.

    Args:
        vectors: v of all pictures.
        kind: in FAISS's words, "IVF4096,PQ64" for example.
        seed: chooses the pictures that FAISS learns lists and codes from.
        progress: show a bar.

    Raises:
        ValueError: for a kind that FAISS does not know, or that has more to learn than there are pictures.
        ImportError: without FAISS.
    """
    library, n = faiss_library(), len(vectors)
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
    return mean_regions(*vectors.at(rows)[:2]).numpy()


def finish_index(
    path: str | Path,
    words: Float[Tensor, "words h"],
    score: Score = "max",
    normalisation: Normalisation = "sum",
    kind: str = KIND,
    probes: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> PictureIndex:
    """From vectors that lie ready in a folder to an index: makes what finds candidates, then writes `index.json`.

    What is finished in the same way is left as it is.

    Args:
        path: folder of the index, with a finished store in `vectors/`.
        words: s of some thousand words, to learn codewords from.
        score, normalisation: as for :func:`~vsa_lite.alignment.scores.alignment_scores`.
        kind: "codewords256", or another number of them; or an index in FAISS's words, of one vector a picture:
            "Flat", "IVF4096,SQfp16", "IVF4096,PQ64".
        probes: how many lists of FAISS's a search looks into; None for one in sixteen.
        seed: of what is learned.
        progress: show a bar.

    Raises:
        ValueError: for probes below 1, a score of cross attention, a kind that is not known, or one that has more to
            learn than there is to learn from.
        StoreError: without vectors.
        ImportError: without FAISS.
    """
    path = Path(path)
    if probes is not None and probes < 1:
        raise ValueError(f"probes must be at least 1, got {probes}")
    if score not in ("max", "sum"):
        raise ValueError(
            f"an index holds what one word gives a picture, by eq. 7 or 8; the score {score!r} has no such"
        )
    vectors = FeatureStore(path / "vectors")
    number = re.fullmatch(r"codewords(\d+)", kind)
    lists = int(found[1]) if (found := re.match(r"IVF(\d+)", kind)) else 0
    made = {"format": FORMAT, "pictures": len(vectors), "kind": kind, "score": score, "normalisation": normalisation}
    made["codewords"] = int(number[1]) if number else 0
    made["probes"] = (probes or max(8, round(lists * PROBED))) if lists else 0
    made["words"] = hashlib.sha256(words.numpy().tobytes()).hexdigest()[:16] if number else None
    if (path / "index.json").exists() and PictureIndex(path).about == made:
        return PictureIndex(path)
    if number:
        codewords = learn_codewords(words, made["codewords"], seed)
        with open(path / "codewords.npy.part", "wb") as file:
            np.save(file, codewords.numpy())
        write_products(vectors, codewords, path / "products.npy.part", score, progress)
        names = ["codewords.npy", "products.npy"]
    else:
        index = build_candidates(vectors, kind, seed, progress)
        faiss_library().write_index(index, str(path / "candidates.faiss.part"))
        names = ["candidates.faiss"]
    (path / "index.json.part").write_text(json.dumps(made, indent=1), encoding="utf-8")
    (path / "index.json").unlink(missing_ok=True)  # never an old one beside new candidates
    for name in (*names, "index.json"):
        os.replace(path / f"{name}.part", path / name)
    return PictureIndex(path)


def build_index(
    model: AlignmentModel,
    store: FeatureStore,
    path: str | Path,
    sentences: Sequence[Sequence[int]],
    *,
    regions: int | None = None,
    kind: str = KIND,
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
        sentences: word indices of sentences like those that will be searched by; codewords are learned from some
            thousand of them, chosen by the seed. :func:`random_sentences` does where there are none.
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
            features, mask, boxes = store.at(rows[part], stop)
            v = model.embed_regions(features.to(device), mask.to(device)).cpu().numpy()
            writer.write(part, v, boxes.numpy(), mask.numpy())
    writer.close()
    config = model.config
    chosen = np.random.default_rng(seed).permutation(len(sentences))[:SENTENCES]
    words = embed_sample(model, [sentences[i] for i in chosen])
    return finish_index(path, words, config.score, config.normalisation, kind, probes, seed, progress)
