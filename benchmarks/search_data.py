"""Pictures by the million for the search benchmark: generated vectors with the statistics of real ones.

Real are v and s of a trained alignment model on a data set of some thousand pictures. Both are turned into the
principal axes of v and cut to so many that the products v . s stay: what is lost is measured, and everything after it,
"exact" too, is meant of the vectors so cut.

A generated picture is half a real one and half a drawn one. In deviations y_i from the mean of the i-th region (region
0 is the whole picture), with a real picture a drawn at random,

    y_i = sqrt(1/2) y_ai + sqrt(1/2) (b + w_i),        b ~ N(0, B),  w_i ~ N(0, W)

where B is the covariance that regions of one picture share and W what is left to each. So mean, covariance, correlation
of regions of one picture and with the whole one stay those of the real; the real half keeps what is not Gaussian, such
as clusters and the spread of the best scores. Then each vector gets the length of the real one that it came from.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vsa_lite.alignment.pairs import Pairs
from vsa_lite.checkpoints import load_checkpoint
from vsa_lite.cli_options import load_data
from vsa_lite.evaluation.ranking import score_all
from vsa_lite.pipeline import embed_pictures, embed_sentences
from vsa_lite.regions.store import FeatureStore, StoreWriter
from vsa_lite.searching.building import SENTENCES, embed_sample, mean_regions

BLOCK = 5000  # pictures drawn at once; a block depends on the seed and its number alone
REAL_SHARE = 0.5  # of a generated picture's variance


@dataclass
class Statistics:
    """What generated pictures are drawn from.

    Attributes:
        v: real regions in principal axes; [images, regions, h], float32.
        mask: True where a region is real.
        words, word_mask: s of real sentences in the same axes, and which are real; [sentences, words, h].
        mean: of each region, by its place; [regions, h].
        shared, own: square roots of the covariances B and W; [h, h].
        facts: figures to print and to record.
    """

    v: Tensor
    mask: Tensor
    words: Tensor
    word_mask: Tensor
    mean: Tensor
    shared: Tensor
    own: Tensor
    facts: dict[str, float]

    def save(self, path: str | Path) -> None:
        """All but the facts, which are recorded, as one `.npz` file."""
        names = ("v", "mask", "words", "word_mask", "mean", "shared", "own")
        np.savez(path, **{name: getattr(self, name).numpy() for name in names})


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp(min=0).sqrt()


def measure(
    checkpoint: str, features: str, data: str, sentences: int, kept: float, largest: int, seed: int
) -> tuple[Statistics, Tensor]:
    """The statistics of real pictures and sentences, and s of words of training sentences for the codewords.

    Args:
        checkpoint: an alignment model.
        features: feature store of the data set.
        data: DATA as on the command line.
        sentences: how many of the test split to search by.
        kept: share of the regions' energy that the principal axes must keep.
        largest: how many axes at most.
        seed: chooses the sentences.
    """
    model = load_checkpoint(checkpoint, "alignment")
    dataset, store, regions = load_data(data), FeatureStore(features), model.provenance.get("regions")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pictures without features are left out
        pairs = Pairs(dataset, store, model.vocabulary, regions)
        test, train = (Pairs(dataset.split(name), store, model.vocabulary, regions) for name in ("test", "train"))
    v, mask = (part.clone() for part in embed_pictures(model.model, pairs))
    chosen = torch.randperm(len(test.tokens), generator=torch.Generator().manual_seed(seed))[:sentences]
    words, word_mask = (part.clone() for part in embed_sentences(model.model, [test.tokens[i] for i in chosen]))

    others = torch.randperm(len(train.tokens), generator=torch.Generator().manual_seed(seed))[:SENTENCES]
    sample = embed_sample(model.model, [train.tokens[i] for i in others])

    real = v[mask]
    energy, axes = torch.linalg.eigh(real.T @ real / len(real))
    energy, axes = energy.flip(0).clamp(min=0), axes.flip(1)
    share = energy.cumsum(0) / energy.sum()
    h = min(largest, 32 * -(-(1 + int((share < kept).sum())) // 32), v.shape[2])
    whole_scores = score_all(v, mask, words, word_mask).T
    facts = {"h": v.shape[2], "axes": h, "energy_kept": 100 * float(share[h - 1])}
    facts |= {"words_a_sentence": float(word_mask.sum(1).double().mean()), "real_pictures": len(v)}
    v, words, sample = v @ axes[:, :h], words @ axes[:, :h], sample @ axes[:, :h]
    scores = score_all(v, mask, words, word_mask).T
    facts["recall_at_10_of_axes"] = recall_at(*(part.topk(min(10, len(v))).indices for part in (whole_scores, scores)))

    counts = mask.sum(0)[:, None]
    mean = (v * mask[..., None]).sum(0) / counts.clamp(min=1)
    y = (v - mean) * mask[..., None]
    n = mask.sum(1)
    total = y[mask].T @ y[mask] / mask.sum()
    sums = y.sum(1)  # sum over i != j of y_i y_j' is (sum y)(sum y)' less the sum of y_i y_i'
    shared = (sums.T @ sums - y[mask].T @ y[mask]) / (n * (n - 1)).sum().clamp(min=1)
    values, vectors = torch.linalg.eigh(shared)
    shared = (vectors * values.clamp(min=0)) @ vectors.T
    facts["correlation_of_regions"] = float(shared.trace() / total.trace())
    whole = y[:, :1].expand_as(y[:, 1:])[mask[:, 1:]]
    facts["correlation_with_whole"] = float(
        (whole * y[:, 1:][mask[:, 1:]]).sum(1).mean() / (whole.pow(2).sum(1).mean() * total.trace()).sqrt()
    )
    found = Statistics(v, mask, words, word_mask, mean, _root(shared), _root(total - shared), facts)
    facts |= {f"real_{key}": value for key, value in best_scores(found, v, mask).items()}
    drawn = [draw(found, seed, block) for block in range(-(-len(v) // BLOCK))]
    like = (torch.cat(parts)[: len(v)] for parts in zip(*drawn, strict=True))
    facts |= {f"generated_{key}": value for key, value in best_scores(found, *like).items()}
    return found, sample


def best_scores(statistics: Statistics, v: Tensor, mask: Tensor) -> dict[str, float]:
    """Mean and deviation of all scores, of the ten best, and how well the mean region finds these.

    `candidates` is how many pictures, ranked by the mean of their regions, hold 0.98 of the ten best: what is hard for
    real pictures must be as hard for generated ones.
    """
    scores = score_all(v, mask, statistics.words, statistics.word_mask).T
    best = scores.topk(min(10, len(v)))
    sums, means = (statistics.words * statistics.word_mask[..., None]).sum(1), mean_regions(v, mask)
    places = (sums @ means.T).argsort(1, descending=True).argsort(1).gather(1, best.indices)
    return {
        "score_mean": float(scores.mean()),
        "score_deviation": float(scores.std(1).mean()),
        "ten_best_mean": float(best.values.mean()),
        "candidates": 1 + float(places.double().flatten().quantile(0.98)),
    }


def draw(statistics: Statistics, seed: int, block: int) -> tuple[Tensor, Tensor]:
    """v and mask of one block of generated pictures."""
    generator = torch.Generator().manual_seed(1_000_003 * seed + block)
    real, (_, regions, h) = statistics.v, statistics.v.shape
    rows = torch.randint(len(real), (BLOCK,), generator=generator)
    parents, mask = real[rows], statistics.mask[rows]
    drawn = torch.randn(BLOCK, regions, h, generator=generator) @ statistics.own.T
    drawn += torch.randn(BLOCK, 1, h, generator=generator) @ statistics.shared.T
    v = REAL_SHARE**0.5 * (parents - statistics.mean) + (1 - REAL_SHARE) ** 0.5 * drawn + statistics.mean
    v *= parents.norm(dim=-1, keepdim=True) / v.norm(dim=-1, keepdim=True).clamp(min=1e-6)
    return v * mask[..., None], mask


def write_pictures(statistics: Statistics, path: str | Path, pictures: int, seed: int) -> None:
    """So many generated pictures as the vectors of an index; goes on where it was stopped."""
    _, regions, h = statistics.v.shape
    provenance = {"generated": True, "seed": seed, "facts": statistics.facts}
    writer = StoreWriter(Path(path) / "vectors", range(pictures), regions, h, provenance)
    for block in np.unique(writer.todo // BLOCK):
        rows = np.arange(block * BLOCK, min((block + 1) * BLOCK, pictures))
        v, mask = (part[: len(rows)].numpy() for part in draw(statistics, seed, int(block)))
        writer.write(rows, v, np.zeros((len(rows), regions, 4), dtype=np.float32), mask)
    writer.close()


def recall_at(truth: Tensor, found: Tensor) -> float:
    """How many of the true best are found, in percent."""
    hits = [len(set(a) & set(b)) / len(a) for a, b in zip(truth.tolist(), found.tolist(), strict=True)]
    return 100 * float(np.mean(hits))
