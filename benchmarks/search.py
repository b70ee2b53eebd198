"""Searching many pictures by a sentence: how much of the exact result is found, and how much faster.

    python -m benchmarks.search --like runs/alignment.safetensors runs/features --data scenes \
        --pictures 10000 100000 1000000 --out runs/search

Writes generated pictures (see `search_data`) and their indices to OUT, measures, and records into results/search.json:

- exact search, eq. 8 of every picture, block by block, for one sentence at a time and for all of them together;
- the index of `vsa_lite.searching`, for several numbers of candidates: recall@10 of the exact result, time of a query
  (median, 90th percentile), size on disk, time to make it; beside it FAISS over the mean region;
- at `--compress` pictures, product quantisation of v: recall@10 against bytes a region, ranked by the codes alone and
  with the best 100 ranked once more by v itself.

What a billion pictures would take, from the figures of a million (R 12, h 256, 256 codewords, float16):

- v: 10^9 x 12 x 256 x 2 bytes = 6.1 TB. With codes of 32 bytes a region, 0.38 TB; v itself can stay on slower disks,
  since a query reads 1000 pictures of it: 6 MB, in 1000 places.
- The table of codewords: 256 x 10^9 x 2 bytes = 0.51 TB, of which a sentence of 10 words reads 10 rows, 20 GB. On 64
  machines with 16 million pictures each that is 0.3 GB a query and machine, and 8 GB of memory for all of the table.
  Only the best hundredth of each row, as number and float16, is 256 x 10^7 x 6 bytes = 15 GB in all, 0.6 GB a query.
- Making it: 10^9 x 12 x 256 x 256 x 2 = 1.6 x 10^15 operations, 7 hours at the 60 GFLOP/s of two cores, less than a
  minute of a GPU's arithmetic; reading 6.1 TB at 2 GB/s takes 51 minutes, shared by 64 machines less than one.
- Features before all that: at 100 pictures a second and GPU, 10^7 seconds: 64 GPUs for two days. This is the real cost.
"""

from __future__ import annotations

import argparse
import shutil
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.search_data import Statistics, measure, recall_at, write_pictures
from vsa_lite.evaluation.ranking import score_all
from vsa_lite.results import record_run
from vsa_lite.searching.building import finish_index
from vsa_lite.searching.index import PictureIndex

RESULTS = Path(__file__).parent.parent / "results" / "search.json"
K = 10


def timed(work) -> tuple[float, float, object]:
    """Seconds by the clock, seconds of processor time, and the result.

    Others at work stretch the clock; the processor's own time they do not, so ratios are taken of that too.
    """
    start, busy = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - start, time.process_time() - busy, result


def keep(
    what: str,
    arguments: argparse.Namespace,
    statistics: Statistics,
    config: dict,
    metrics: dict[str, float],
    seconds: float,
) -> None:
    """Record a run; `statistics` says what the generated vectors are like."""
    record_run(
        RESULTS,
        what=what,
        dataset=arguments.name,
        split="generated",
        backbone="generated vectors",
        regions=f"{statistics.v.shape[1]} of each picture",
        config={**config, "sentences": len(statistics.words), "statistics": statistics.facts},
        seed=arguments.seed,
        metrics=metrics,
        seconds=seconds,
    )


def folder_size(folder: Path) -> float:
    """Megabytes of a folder or file."""
    files = [folder] if folder.is_file() else [path for path in folder.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files) / 1e6


def peak_memory() -> float:
    """Megabytes of this process's own (anonymous) memory now; mapped files, which the system may drop, do not count."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1000
    return 0.0


def one_by_one(index: PictureIndex, statistics: Statistics, **options) -> tuple[np.ndarray, Tensor]:
    """Seconds (clock, processor) of every sentence searched on its own, and what was found."""
    seconds, found = [], []
    for s, mask in zip(statistics.words, statistics.word_mask, strict=True):
        words = s[mask][None]  # without padding
        real = torch.ones(words.shape[:2], dtype=torch.bool)
        *taken, (ids, _) = timed(partial(index.search, words, real, K, **options))
        seconds.append(taken)
        found.append(ids[0])
    return np.array(seconds).T, torch.stack(found)


def measure_size(arguments: argparse.Namespace, statistics: Statistics, sample: Tensor, pictures: int) -> None:
    """Everything about one number of pictures; records a run for every number of candidates."""
    folder = arguments.out / str(pictures)
    drawing, _, _ = timed(partial(write_pictures, statistics, folder, pictures, arguments.seed))
    building, _, index = timed(partial(finish_index, folder, sample, kind=arguments.kind, progress=False))
    print(f"{pictures:,} pictures drawn in {drawing:.0f} s, index made in {building:.0f} s", flush=True)

    few = Statistics(**{**vars(statistics), "words": statistics.words[:8], "word_mask": statistics.word_mask[:8]})
    each, _ = one_by_one(index, few, exact=True)
    exact, exact_busy = np.median(each, 1)
    *whole, (truth, _) = timed(partial(index.search, statistics.words, statistics.word_mask, K, exact=True))
    batch, batch_busy = np.array(whole) / len(statistics.words)
    print(f"  exact: {1000 * exact:.1f} ms a sentence, {1000 * batch:.1f} in a batch", flush=True)
    table = folder_size(folder / "products.npy")
    shared = {
        "exact_ms": 1000 * exact,
        "exact_ms_in_a_batch": 1000 * batch,
        "vectors_mb": folder_size(folder / "vectors"),
        "candidates_mb": table,
        "index_seconds": building,
    }

    def record(what: str, config: dict, seconds: np.ndarray, found: Tensor, more: dict) -> None:
        (median, busy), mean_busy = np.median(seconds, 1), seconds[1].mean()
        metrics = {
            "recall_at_10": recall_at(truth, found),
            "median_ms": 1000 * median,
            "p90_ms": 1000 * float(np.quantile(seconds[0], 0.9)),
            "speed_up": exact / median,
            "speed_up_busy": exact_busy / busy,
            "speed_up_on_a_batch": batch_busy / mean_busy,
            "memory_mb": peak_memory(),
        }
        print(f"  {what}: " + ", ".join(f"{key} {value:.2f}" for key, value in metrics.items()), flush=True)
        keep(
            f"{what}, {pictures} pictures",
            arguments,
            statistics,
            {"pictures": pictures, "kind": arguments.kind, **config},
            metrics | shared | more,
            float(seconds[0].sum()),
        )

    for candidates in arguments.candidates:
        if candidates < pictures:
            one_by_one(index, few, candidates=candidates)  # so that files are mapped
            seconds, found = one_by_one(index, statistics, candidates=candidates)
            record(f"{arguments.kind}, {candidates} candidates", {"candidates": candidates}, seconds, found, {})
    if pictures in arguments.faiss:
        for kind in arguments.faiss_kinds:
            options = {"kind": kind, "probes": arguments.probes, "progress": False}
            made, _, other = timed(partial(finish_index, folder, sample, **options))
            more = {"candidates_mb": folder_size(folder / "candidates.faiss"), "index_seconds": made}
            for candidates in arguments.faiss_candidates:
                one_by_one(other, few, candidates=candidates)
                seconds, found = one_by_one(other, statistics, candidates=candidates)
                about = {"candidates": candidates, "kind": kind, "probes": other.about["probes"]}
                record(f"FAISS {kind} of the mean region, {candidates} candidates", about, seconds, found, more)
        if arguments.keep:
            finish_index(folder, sample, kind=arguments.kind, progress=False)
    if pictures == arguments.compress:
        compress(arguments, statistics, index, truth, sample)
    if not arguments.keep:
        shutil.rmtree(folder)


def axes_of_products(v: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix T and its inverse: in v T a squared error is the mean squared error of the products with words.

    With C = E[s s'] an error e of v costs E[(e . s)^2] = e' C e. So T is the root of C, turned so that the axes are the
    principal ones of v T.
    """
    values, vectors = torch.linalg.eigh(words.T @ words / len(words))
    root = values.clamp(min=1e-4 * float(values.max())).sqrt()
    turned = (v @ vectors) * root
    turn = torch.linalg.eigh(turned.T @ turned).eigenvectors.flip(1)
    return vectors * root @ turn, turn.T @ (vectors / root).T


def learn_codes(parts: Tensor, generator: torch.Generator, rounds: int = 12) -> Tensor:
    """Product quantisation's codebooks by k-means, 256 entries for each part of a vector: [codes, 256, h / codes]."""
    books = parts[:, torch.randperm(parts.shape[1], generator=generator)[:256]].clone()
    for _ in range(rounds):
        nearest = nearest_codes(parts, books)  # (codes, n)
        sums = torch.zeros_like(books).scatter_add(1, nearest[..., None].expand_as(parts), parts)
        counts = torch.zeros(books.shape[:2]).scatter_add(1, nearest, torch.ones(nearest.shape))
        books = torch.where(counts[..., None] > 0, sums / counts[..., None].clamp(min=1), books)
    return books


def nearest_codes(parts: Tensor, books: Tensor) -> Tensor:
    """The nearest entry of its codebook for each part of each vector: [codes, n]."""
    return (books.pow(2).sum(-1)[:, None] - 2 * parts @ books.mT).argmin(-1)


def compress(
    arguments: argparse.Namespace, statistics: Statistics, index: PictureIndex, truth: Tensor, words: Tensor
) -> None:
    """Recall against bytes a region: v by product quantisation, in place of float16.

    Quantised in the axes of `axes_of_products`; each part of a vector gets strong and weak axes in turn.
    """
    h, step = index.embedding_size, 2000
    store = index.vectors
    sample = torch.from_numpy(np.array(store.features[:4000])).float()[torch.from_numpy(np.array(store.mask[:4000]))]
    sample = sample[torch.randperm(len(sample), generator=torch.Generator().manual_seed(0))[:15_000]]
    there, back = axes_of_products(sample, words)

    def parts_of(v: Tensor, codes: int) -> Tensor:  # (codes, n, h / codes)
        return (v @ there).view(len(v), -1, codes).permute(2, 0, 1).contiguous()

    for codes in [c for c in arguments.codes if h % c == 0]:
        start = time.perf_counter()
        books = learn_codes(parts_of(sample, codes), torch.Generator().manual_seed(arguments.seed))
        scores, error, energy = [], 0.0, 0.0
        for first in range(0, len(store), step):
            v = torch.from_numpy(np.array(store.features[first : first + step])).float()
            mask = torch.from_numpy(np.array(store.mask[first : first + step]))
            parts = parts_of(v.flatten(0, 1), codes)
            coded = books.gather(1, nearest_codes(parts, books)[..., None].expand_as(parts))
            coded = (coded.permute(1, 2, 0).reshape(-1, h) @ back).view(v.shape) * mask[..., None]
            error, energy = error + float((coded - v).pow(2).sum()), energy + float(v.pow(2).sum())
            scores.append(score_all(coded, mask, statistics.words, statistics.word_mask).T)
        best = torch.cat(scores, 1).topk(100).indices
        inside = 100 * float(
            np.mean([len(set(a) & set(b)) / K for a, b in zip(truth.tolist(), best.tolist(), strict=True)])
        )
        metrics = {
            "recall_by_codes": recall_at(truth, best[:, :K]),
            "recall_of_100": inside,
            "bytes_a_region": codes,
            "times_smaller": 2 * h / codes,
            "lost_energy": 100 * error / energy,
        }
        print(f"  {codes} bytes a region: " + ", ".join(f"{k} {x:.2f}" for k, x in metrics.items()), flush=True)
        what = f"product quantisation, {codes} bytes a region"
        keep(what, arguments, statistics, {"pictures": len(store)}, metrics, time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--like", nargs=2, required=True, metavar=("CHECKPOINT", "FEATURES"), help="what is real")
    parser.add_argument("--data", required=True, help="their data set, as for `vsa-lite evaluate`: gives the sentences")
    parser.add_argument("--name", default="scenes", help="of the data set, for the record")
    parser.add_argument("--pictures", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--out", type=Path, required=True, help="folder for vectors and indices")
    parser.add_argument("--keep", action="store_true", help="leave them there")
    parser.add_argument("--sentences", type=int, default=100)
    parser.add_argument("--kept", type=float, default=0.999, help="share of energy that principal axes keep")
    parser.add_argument("--axes", type=int, default=256, help="how many at most")
    parser.add_argument("--kind", default="codewords256")
    parser.add_argument("--candidates", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument(
        "--faiss", type=int, nargs="*", default=[100_000], help="pictures at which FAISS is measured too"
    )
    parser.add_argument("--faiss-kinds", nargs="+", default=["IVF1024,SQfp16"])
    parser.add_argument("--faiss-candidates", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--probes", type=int, default=256, help="lists that FAISS looks into")
    parser.add_argument("--compress", type=int, default=100_000, help="pictures at which v is compressed")
    parser.add_argument("--codes", type=int, nargs="+", default=[4, 8, 16, 32, 64, 128])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="(default: 1: others at work hurt two more)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    statistics, sample = measure(
        *arguments.like, arguments.data, arguments.sentences, arguments.kept, arguments.axes, arguments.seed
    )
    statistics.save(arguments.out / "statistics.npz")
    print(", ".join(f"{key} {value:.2f}" for key, value in statistics.facts.items()), flush=True)
    for pictures in arguments.pictures:
        measure_size(arguments, statistics, sample, pictures)


if __name__ == "__main__":
    main()
