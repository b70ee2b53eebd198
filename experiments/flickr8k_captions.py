"""Captions of whole photographs on Flickr8k: the multimodal RNN, greedy and with beam 7.

    python experiments/flickr8k_captions.py FEATURES --out FOLDER --run rnn --seeds 0

FEATURES come from `vsa-lite extract`; the data from VSA_LITE_DATA. Writes results/flickr8k_captions.json and, into
FOLDER, the checkpoint and the training state of each run.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import torch

from vsa_lite.alignment.pairs import Pairs
from vsa_lite.checkpoints import save_checkpoint
from vsa_lite.data.karpathy import load_flickr8k
from vsa_lite.pipeline import evaluate_captions, known_sentences, perplexity, train_captioner
from vsa_lite.recipes import CAPTIONS
from vsa_lite.regions.store import FeatureStore
from vsa_lite.results import record_run
from vsa_lite.training import TrainingConfig
from vsa_lite.words.vocabulary import Vocabulary
from vsa_lite.words.word2vec import load_word_vectors

RESULTS = Path(__file__).parent.parent / "results" / "flickr8k_captions.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path, help="feature store of Flickr8k")
    parser.add_argument("--run", required=True, choices=CAPTIONS, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--words", type=Path, help="word vectors of `vsa-lite train words`; random without")
    parser.add_argument("--mirrored", type=Path, help="features of the mirrored pictures, to train on as well")
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 7])
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoints and the training states")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dataset = load_flickr8k(Path(os.environ["VSA_LITE_DATA"]) / "flickr8k")
    store = FeatureStore(arguments.features)
    vocabulary = Vocabulary.from_dataset(dataset)
    vectors = load_word_vectors(arguments.words, vocabulary) if arguments.words else None
    mirrored = FeatureStore(arguments.mirrored) if arguments.mirrored else None
    test = Pairs(dataset.split("test"), store, vocabulary, regions=1)
    seen = known_sentences(dataset.split("train"), vocabulary)
    for name in arguments.run:
        for seed in arguments.seeds:
            recipe = CAPTIONS[name]
            folder = arguments.out / f"{name}-{seed}"
            training = TrainingConfig(**recipe.training, seed=seed)
            checkpoint = train_captioner(
                dataset,
                store,
                vocabulary,
                recipe.model,
                training,
                word_vectors=vectors,
                mirrored=mirrored,
                folder=folder,
                device=arguments.device,
            )
            save_checkpoint(folder / "captions.safetensors", checkpoint)
            checkpoint.model.to(arguments.device)
            for beam in arguments.beams:
                started = time.perf_counter()
                metrics = evaluate_captions(checkpoint.model, test, beam, seen)
                decoding = time.perf_counter() - started
                seconds = checkpoint.metrics["seconds"]
                metrics |= {"perplexity": perplexity(checkpoint.model, test), "minutes": seconds / 60}
                run = record_run(
                    RESULTS,
                    what=f"{name}, beam {beam}",
                    dataset="flickr8k",
                    split="test",
                    backbone=store.provenance["backbone"],
                    regions="whole picture only",
                    config={
                        "about": recipe.about,
                        "beam_size": beam,
                        "model": checkpoint.model.config_dict(),
                        "training": recipe.training,
                        "words": "word2vec of the training captions" if vectors is not None else "random",
                        "mirrored": mirrored is not None,
                        "decoding_and_scoring_seconds": round(decoding, 1),
                        "features": store.provenance,
                    },
                    seed=seed,
                    metrics=metrics,
                    seconds=seconds,
                )
                print(name, seed, beam, run["metrics"], flush=True)


if __name__ == "__main__":
    main()
