"""Alignment on Flickr8k: eq. 8 and 9 as printed, better recipes beside it, eq. 7, and the whole picture only.

    python experiments/flickr8k_alignment.py FEATURES --words WORDS --out FOLDER --run best --seeds 0 1 2

FEATURES come from `vsa-lite extract`, WORDS from `vsa-lite train words`; the data from VSA_LITE_DATA. Writes
results/flickr8k_alignment.json and, into FOLDER, the checkpoint and the training state of each run. With --together
nothing is trained: the checkpoints of these seeds in FOLDER search together, by the sum of their scores.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import torch

from vsa_lite.alignment.model import AlignmentModel
from vsa_lite.alignment.pairs import Pairs
from vsa_lite.checkpoints import load_checkpoint, save_checkpoint
from vsa_lite.cli_options import regions_in_words
from vsa_lite.data.karpathy import load_flickr8k
from vsa_lite.data.records import Dataset
from vsa_lite.evaluation.ranking import rank_scores, score_all, summarise_ranks
from vsa_lite.pipeline import embed_pictures, embed_sentences, evaluate_ranking, train_alignment
from vsa_lite.recipes import ALIGNMENT
from vsa_lite.regions.store import FeatureStore
from vsa_lite.results import record_run
from vsa_lite.training import TrainingConfig
from vsa_lite.words.vocabulary import Vocabulary
from vsa_lite.words.word2vec import load_word_vectors

RESULTS = Path(__file__).parent.parent / "results" / "flickr8k_alignment.json"


def rank_together(models: list[AlignmentModel], pairs: Pairs) -> dict[str, float]:
    """Ranking by the sum of several models' scores."""
    total = 0.0
    for model in models:
        v, region_mask = embed_pictures(model, pairs)
        s, word_mask = embed_sentences(model, pairs.tokens)
        total = total + score_all(v, region_mask, s, word_mask, model.config.score, model.config.normalisation)
    of_images, of_sentences = rank_scores(total, pairs.sentence_image)
    return summarise_ranks(of_images, "sentence") | summarise_ranks(of_sentences, "image")


def measure_together(name: str, folders: list[Path], dataset: Dataset, store: FeatureStore) -> None:
    """Record the ranking of the checkpoints in these folders together."""
    started = time.perf_counter()
    checkpoints = [load_checkpoint(folder / "alignment.safetensors", "alignment") for folder in folders]
    regions = checkpoints[0].provenance["regions"]
    test = Pairs(dataset.split("test"), store, checkpoints[0].vocabulary, regions)
    run = record_run(
        RESULTS,
        what=f"{name}, {len(folders)} seeds together",
        dataset="flickr8k",
        split="test",
        backbone=store.provenance["backbone"],
        regions=regions_in_words(store.provenance, regions),
        config={
            "about": "the sum of the scores",
            "seeds": [checkpoint.provenance["seed"] for checkpoint in checkpoints],
            "model": checkpoints[0].model.config_dict(),
        },
        seed=None,
        metrics=rank_together([checkpoint.model for checkpoint in checkpoints], test)
        | {"minutes": sum(checkpoint.metrics["seconds"] for checkpoint in checkpoints) / 60},
        seconds=time.perf_counter() - started,
    )
    print(name, "together", run["metrics"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path, help="feature store of Flickr8k")
    parser.add_argument("--run", required=True, choices=ALIGNMENT, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--words", type=Path, help="word vectors of `vsa-lite train words`; random without")
    parser.add_argument("--mirrored", type=Path, help="features of the mirrored pictures, to train on as well")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoints and the training states")
    parser.add_argument("--together", action="store_true", help="search with all seeds of each run together")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dataset = load_flickr8k(Path(os.environ["VSA_LITE_DATA"]) / "flickr8k")
    store = FeatureStore(arguments.features)
    vocabulary = Vocabulary.from_dataset(dataset)
    mirrored = FeatureStore(arguments.mirrored) if arguments.mirrored else None
    vectors = load_word_vectors(arguments.words, vocabulary) if arguments.words else None
    if arguments.together:
        for name in arguments.run:
            measure_together(name, [arguments.out / f"{name}-{seed}" for seed in arguments.seeds], dataset, store)
        return
    for name in arguments.run:
        for seed in arguments.seeds:
            recipe = ALIGNMENT[name]
            training = TrainingConfig(**recipe.training, seed=seed)
            folder = arguments.out / f"{name}-{seed}"
            checkpoint = train_alignment(
                dataset,
                store,
                vocabulary,
                vectors,
                recipe.model,
                training,
                regions=recipe.regions,
                mirrored=mirrored,
                folder=folder,
                device=arguments.device,
            )
            test = Pairs(dataset.split("test"), store, vocabulary, recipe.regions)
            metrics = evaluate_ranking(checkpoint.model, test)
            seconds = checkpoint.metrics["seconds"]
            checkpoint.metrics["test"] = metrics
            save_checkpoint(folder / "alignment.safetensors", checkpoint)
            run = record_run(
                RESULTS,
                what=name,
                dataset="flickr8k",
                split="test",
                backbone=store.provenance["backbone"],
                regions=regions_in_words(store.provenance, recipe.regions),
                config={
                    "about": recipe.about,
                    "model": checkpoint.model.config_dict(),
                    "training": recipe.training,
                    "words": "word2vec of the training captions" if vectors is not None else "random",
                    "mirrored": mirrored is not None,
                    "features": store.provenance,
                },
                seed=seed,
                metrics={**metrics, "minutes": seconds / 60},
                seconds=seconds,
            )
            print(name, seed, run["metrics"], flush=True)


if __name__ == "__main__":
    main()
