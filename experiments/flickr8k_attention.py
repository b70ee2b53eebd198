"""Attention on photographs: captions of Flickr8k's test split, and where the attention was on COCO's photographs.

    python experiments/flickr8k_attention.py FEATURES --alignment CHECKPOINT --out FOLDER --seeds 0

FEATURES and CHECKPOINT come from `vsa-lite extract` and `vsa-lite train alignment` (experiments/flickr8k_pipeline.py
makes both); the checkpoint teaches, and brings the vocabulary and the number of regions. Data from VSA_LITE_DATA. With
--coco FOLDER, region features of COCO's photographs that experiments/coco_grounding.py made with the same backbone, the
attention at their nouns is compared with true boxes. Writes results/flickr8k_attention.json and, into the folder of
--out, the checkpoint and the training state of each variant and seed. The time given is that of the median epoch, times
their number: a training that was paused by hand has the time that it would have had.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from pathlib import Path
from statistics import median

import torch
from scenes_attention import VARIANTS as SCENES_VARIANTS

from vsa_lite.alignment.pairs import Pairs
from vsa_lite.captioning.teacher import alignment_targets, shuffled
from vsa_lite.checkpoints import load_checkpoint, save_checkpoint
from vsa_lite.cli_options import check_same_features, regions_in_words
from vsa_lite.data.coco import link_category_nouns, load_coco
from vsa_lite.data.karpathy import load_flickr8k
from vsa_lite.evaluation.attention import attention_grounding
from vsa_lite.evaluation.grounding import evaluate_grounding
from vsa_lite.pipeline import evaluate_captions, known_sentences, perplexity, train_attention
from vsa_lite.recipes import ATTENTION
from vsa_lite.regions.store import FeatureStore
from vsa_lite.results import record_run
from vsa_lite.training import TrainingConfig

RESULTS = Path(__file__).parent.parent / "results" / "flickr8k_attention.json"
VARIANTS = {name: how for name, how in SCENES_VARIANTS.items() if how[1] != "truth"}  # nobody knows the truth here
BEAMS = (1, 3, 7)


def coco_pairs(store: Path, vocabulary, regions: int | None, made: dict) -> Pairs:
    """COCO's photographs with sentences whose nouns are linked to true boxes."""
    coco = Path(os.environ["VSA_LITE_DATA"]) / "coco"
    files = (coco / "annotations" / f"{name}_val2017.json" for name in ("instances", "captions"))
    features = FeatureStore(store)
    check_same_features(features.provenance, made, str(store), "the model")
    dataset = link_category_nouns(load_coco(*files, coco / "val2017", split="test"))
    return Pairs(dataset, features, vocabulary, regions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features", type=Path, help="feature store of Flickr8k")
    parser.add_argument("--alignment", type=Path, required=True, help="checkpoint of the teacher")
    parser.add_argument("--run", choices=VARIANTS, nargs="+", default=list(VARIANTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--coco", type=Path, help="feature store of COCO's photographs")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoints and the training states")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    dataset = load_flickr8k(Path(os.environ["VSA_LITE_DATA"]) / "flickr8k")
    store, teacher = FeatureStore(arguments.features), load_checkpoint(arguments.alignment, "alignment")
    made = teacher.provenance["features"]
    check_same_features(store.provenance, made, str(arguments.features), str(arguments.alignment))
    vocabulary, regions = teacher.vocabulary, teacher.provenance.get("regions")
    train, test = (Pairs(dataset.split(name), store, vocabulary, regions) for name in ("train", "test"))
    coco = coco_pairs(arguments.coco, vocabulary, regions, made) if arguments.coco else None
    seen = known_sentences(dataset.split("train"), vocabulary)
    recipe, targets = ATTENTION["quick"], None
    teacher.model.to(arguments.device)
    backbone = store.provenance["backbone"]
    about_coco = {"dataset": "coco val2017, 79 photographs", "split": "test", "backbone": backbone}
    if coco is not None:
        started = time.perf_counter()
        record_run(
            RESULTS,
            what="the teacher itself",
            **about_coco,
            regions=regions_in_words(coco.store.provenance, regions),
            config={"model": teacher.model.config_dict(), "features": coco.store.provenance},
            seed=teacher.provenance["seed"],
            metrics=evaluate_grounding(teacher.model, coco),
            seconds=time.perf_counter() - started,
        )
    for name in arguments.run:
        extras, taught_by = VARIANTS[name]
        if taught_by and targets is None:
            targets = alignment_targets(teacher.model, train)
        for seed in arguments.seeds:
            folder = arguments.out / f"{re.sub('[^a-z]+', '-', name).strip('-')}-{seed}"
            lesson = targets if taught_by else None
            if taught_by == "shuffled":
                lesson = (shuffled(*targets, torch.Generator().manual_seed(seed)), targets[1])
            checkpoint = train_attention(
                *(dataset, store, vocabulary, recipe.model | extras),
                TrainingConfig(**recipe.training, seed=seed),
                regions=regions,
                targets=lesson,
                folder=folder,
                device=arguments.device,
            )
            save_checkpoint(folder / "attention.safetensors", checkpoint)
            model, epochs = checkpoint.model.to(arguments.device), checkpoint.metrics["history"]
            seconds = len(epochs) * median(epoch["seconds"] for epoch in epochs)
            size = sum(part.numel() for part in model.parameters()) / 1e6
            common = {"perplexity": perplexity(model, test), "million_parameters": size, "minutes": seconds / 60}
            about = {"dataset": "flickr8k", "split": "test", "backbone": backbone}
            measured = [
                (test, {"what": f"{name}, beam {beam}", **about}, evaluate_captions(model, test, beam, seen) | common)
                for beam in BEAMS
            ]
            if coco is not None:
                measured.append((coco, {"what": name, **about_coco}, attention_grounding(model, coco)))
            for pairs, about, metrics in measured:
                run = record_run(
                    RESULTS,
                    **about,
                    regions=regions_in_words(pairs.store.provenance, regions),
                    config={
                        "about": recipe.about,
                        "model": model.config_dict(),
                        "training": recipe.training,
                        "teacher": f"{taught_by} {checkpoint.provenance['taught']}" if taught_by else "none",
                        "features": pairs.store.provenance,
                        "trained_on_regions": store.provenance["proposals"],
                    },
                    seed=seed,
                    metrics=metrics,
                    seconds=seconds,
                )
                print(about, seed, run["metrics"], flush=True)


if __name__ == "__main__":
    main()
