"""Features that do not fit: training on a store of COCO's size, beside a small one of the same shape.

    python -m benchmarks.large --out FOLDER [--pictures 113287] [--steps 50]

Writes a store of generated features, 20 regions of 2,048 numbers a picture (9.3 GB for COCO's training pictures),
through the writer that `vsa-lite extract` uses. Then trains the alignment for some steps on pictures drawn from all of
it, and as many on one of 2,000 pictures. Records the steps a second of both, the rate of writing, and how much memory
the process itself holds: pages of the mapped file are the system's, and go when others need them.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from vsa_lite.alignment.model import AlignmentConfig, AlignmentModel
from vsa_lite.alignment.pairs import Pairs
from vsa_lite.data.records import Dataset, Record, Sentence
from vsa_lite.regions.store import FeatureStore, StoreWriter
from vsa_lite.results import record_run
from vsa_lite.training import TrainingConfig, train
from vsa_lite.words.vocabulary import Vocabulary

RESULTS = Path(__file__).parent.parent / "results" / "large.json"
REGIONS, SIZE, WORDS, SMALL = 20, 2048, 2538, 2000


def own_memory() -> float:
    """Megabytes that the process itself holds, without pages of mapped files."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1000
    raise OSError("this system does not say how much memory is the process's own")


def write_store(path: Path, pictures: int) -> float:
    """Generated features, picture after picture; the seconds it took. A store that was begun goes on."""
    writer = StoreWriter(path, range(pictures), REGIONS, SIZE, {"dataset": "generated", "backbone": "generated"})
    random = np.random.default_rng(0)
    pattern = random.standard_normal((64, REGIONS, SIZE), dtype=np.float32)
    boxes, mask = np.tile(np.float32([0, 0, 1, 1]), (64, REGIONS, 1)), np.ones((64, REGIONS), bool)
    started, todo = time.perf_counter(), writer.todo
    for first in range(0, len(todo), 64):
        rows = todo[first : first + 64]
        writer.write(rows, pattern[: len(rows)] * random.uniform(0.5, 2), boxes[: len(rows)], mask[: len(rows)])
    writer.close()
    return time.perf_counter() - started


def dataset_of(pictures: int) -> Dataset:
    """One sentence of 11 words a picture."""
    drawn = np.random.default_rng(1).integers(1, WORDS, (pictures, 11))
    return Dataset(
        "generated",
        [
            Record(i, f"{i}", "", "train", (Sentence(" ".join(words), tuple(words)),))
            for i, words in enumerate([[f"w{k}" for k in row] for row in drawn.tolist()])
        ],
    )


def steps_a_second(store: FeatureStore, dataset: Dataset, vocabulary: Vocabulary, steps: int) -> tuple[float, float]:
    """Rate of training on pictures of the whole data set, and the memory that came with it."""
    before = own_memory()
    pairs = Pairs(dataset, store, vocabulary)
    model = AlignmentModel(AlignmentConfig(len(vocabulary), SIZE, 512, 512, unit_vectors=True, loss="contrastive"))
    chosen = np.random.default_rng(2).choice(len(pairs), 100 * (steps + 2))
    config, most = TrainingConfig(epochs=1), [0.0]

    def batch(indices: torch.Tensor):
        most[0] = max(most[0], own_memory() - before)
        return pairs.batch(chosen[indices.numpy()])

    train(model, 200, batch, config, progress=False)  # to be warm
    started = time.perf_counter()
    train(model, 100 * steps, batch, config, progress=False)
    return steps / (time.perf_counter() - started), most[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the stores")
    parser.add_argument("--pictures", type=int, default=113_287)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    vocabulary = Vocabulary.from_sentences([[f"w{k}" for k in range(1, WORDS)]], minimum_count=1)
    rates = {}
    for pictures in (min(SMALL, arguments.pictures), arguments.pictures):
        path = arguments.out / f"store-{pictures}"
        seconds = write_store(path, pictures)
        store = FeatureStore(path)
        rates[pictures], memory = steps_a_second(store, dataset_of(pictures), vocabulary, arguments.steps)
        run = record_run(
            arguments.results,
            what=f"training on {pictures:,} pictures",
            dataset="generated",
            split="train",
            backbone="none",
            regions=f"{REGIONS} of {SIZE} numbers",
            config={"steps": arguments.steps, "batch_size": 100, "embedding_size": 512, "hidden_size": 512},
            seed=0,
            metrics={
                "steps_a_second": rates[pictures],
                "share_of_the_small_stores_rate": 100 * rates[pictures] / next(iter(rates.values())),
                "own_memory_mb": memory,
                "store_gb": store.features.nbytes / 1e9,
            },
            seconds=seconds,
        )
        print(run["what"], run["metrics"], flush=True)


if __name__ == "__main__":
    main()
