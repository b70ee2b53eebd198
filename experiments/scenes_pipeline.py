"""The whole pipeline on scenes, whose truth is known: ranking, grounding, captions, and captions of regions.

    python experiments/scenes_pipeline.py --work FOLDER --seeds 0 1 2

Needs no download. The region CNN and the features are made once, in FOLDER; each seed then trains an alignment, a
full-frame captioner, and a region captioner on what that alignment inferred. Writes results/scenes_alignment.json,
results/scenes_captions.json and results/scenes_region_captions.json.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from vsa_lite.alignment.pairs import Pairs
from vsa_lite.captioning.regions import RegionSnippets
from vsa_lite.data.records import Dataset
from vsa_lite.data.scenes import LABELS, make_scenes, make_single_things
from vsa_lite.evaluation.captions import caption_metrics
from vsa_lite.evaluation.grounding import evaluate_grounding
from vsa_lite.evaluation.region_captions import region_references
from vsa_lite.pipeline import (
    evaluate_captions,
    evaluate_ranking,
    infer_snippets,
    known_sentences,
    train_alignment,
    train_captioner,
    train_region_captioner,
    write_captions,
)
from vsa_lite.recipes import SCENES_ALIGNMENT, SCENES_CAPTIONS, SCENES_REGION_CAPTIONS
from vsa_lite.regions.features import extract_features
from vsa_lite.regions.proposals import ProposedRegions
from vsa_lite.regions.region_cnn import RegionCNN, RegionCNNProposals
from vsa_lite.regions.region_cnn_training import fine_tune, load_pictures, pretrain, thing_boxes
from vsa_lite.regions.store import FeatureStore
from vsa_lite.results import record_run
from vsa_lite.training import TrainingConfig
from vsa_lite.words.vocabulary import Vocabulary

RESULTS = Path(__file__).parent.parent / "results"
SIZE = 224
FEWER = 8  # regions to choose from: best on the validation split, where the other detections mostly repeat a thing
CNN_SCENES, SINGLE_THINGS, SINGLE_SIZE = 1500, 1500, 96


def make_region_cnn(path: Path) -> RegionCNN:
    """Pretrained on single things and fine-tuned for detection on scenes of another seed than those aligned later."""
    if path.exists():
        return RegionCNN.load(path)
    things = make_single_things(SINGLE_THINGS)
    pictures = load_pictures((drawing.draw() for drawing, _ in things), SINGLE_SIZE)
    model = RegionCNN(LABELS, torch.Generator().manual_seed(0), size=SIZE)
    classes = torch.tensor([1 + LABELS.index(label) for _, label in things])
    pretrain(model, pictures, classes, torch.Generator().manual_seed(1))
    scenes = make_scenes(CNN_SCENES, 0, 0, seed=1).split("train")
    model.fresh_classifier(LABELS, torch.Generator().manual_seed(2))
    pictures = load_pictures((record.image() for record in scenes), SIZE)
    fine_tune(model, pictures, *thing_boxes(scenes, LABELS), torch.Generator().manual_seed(3), epochs=6)
    model.save(path)
    return model


def extract(dataset: Dataset, work: Path) -> FeatureStore:
    """Features of the best 19 detections and the whole picture."""
    cnn = make_region_cnn(work / "region_cnn.safetensors")
    regions = ProposedRegions(RegionCNNProposals(cnn), count=20)
    return extract_features(
        dataset,
        cnn.as_backbone(),
        regions,
        work / "features",
        size=SIZE,
        pool_size=cnn.config["pool_size"],  # as it was trained to see regions
        batch_size=8,
        provenance={"proposals": "detections of the region CNN"},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the region CNN, features, training states")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    dataset = make_scenes()
    store = extract(dataset, arguments.work)
    vocabulary = Vocabulary.from_dataset(dataset)
    seen = known_sentences(dataset.split("train"), vocabulary)
    test = Pairs(dataset.split("test"), store, vocabulary)
    fewer = Pairs(dataset.split("test"), store, vocabulary, regions=FEWER)
    whole = Pairs(dataset.split("test"), store, vocabulary, regions=1)
    about = {"dataset": "scenes", "split": "test", "backbone": "region CNN"}

    for seed in arguments.seeds:
        training = TrainingConfig(**SCENES_ALIGNMENT.training, seed=seed)
        folder = arguments.work / f"seed-{seed}"
        aligned = train_alignment(
            dataset, store, vocabulary, None, SCENES_ALIGNMENT.model, training, folder=folder / "alignment"
        )
        metrics = evaluate_ranking(aligned.model, test)
        for name, pairs, beta in (
            ("best region of the phrase", test, None),
            ("chain, beta 0.5", test, 0.5),
            (f"best of {FEWER} regions", fewer, None),
        ):
            run = record_run(
                RESULTS / "scenes_alignment.json",
                what=name,
                **about,
                regions=f"best {(pairs.regions or store.mask.shape[1]) - 1} detections and the whole picture",
                config={
                    "model": aligned.model.config_dict(),
                    "training": SCENES_ALIGNMENT.training,
                    "cnn_scenes": CNN_SCENES,
                    "single_things": SINGLE_THINGS,
                    "train_scenes": len(dataset.split("train")),
                },
                seed=seed,
                metrics={**metrics, **evaluate_grounding(aligned.model, pairs, beta)},
                seconds=aligned.metrics["seconds"],
            )
            print(seed, name, run["metrics"], flush=True)

        training = TrainingConfig(**SCENES_CAPTIONS.training, seed=seed)
        full_frame = train_captioner(
            dataset, store, vocabulary, SCENES_CAPTIONS.model, training, folder=folder / "captions"
        )
        for beam in (1, 7):
            run = record_run(
                RESULTS / "scenes_captions.json",
                what=f"multimodal RNN, beam {beam}",
                **about,
                regions="whole picture only",
                config={"model": full_frame.model.config_dict(), "training": SCENES_CAPTIONS.training},
                seed=seed,
                metrics=evaluate_captions(full_frame.model, whole, beam, seen),
                seconds=full_frame.metrics["seconds"],
            )
            print(seed, "captions, beam", beam, run["metrics"], flush=True)

        snippets = {
            split: RegionSnippets(
                infer_snippets(aligned.model, Pairs(dataset.split(split), store, vocabulary), beta=0.5), store
            )
            for split in ("train", "val")
        }
        region_model = train_region_captioner(
            snippets["train"],
            snippets["val"],
            vocabulary,
            SCENES_REGION_CAPTIONS.model,
            TrainingConfig(**SCENES_REGION_CAPTIONS.training, seed=seed),
            dataset_name=dataset.name,
            folder=folder / "region-captions",
        )
        truth = region_references(dataset.split("test"), store)
        for name, checkpoint, recipe in (
            ("region model", region_model, SCENES_REGION_CAPTIONS),
            ("full-frame model", full_frame, SCENES_CAPTIONS),
        ):
            started = time.perf_counter()
            written = write_captions(checkpoint.model, vocabulary, truth.features, beam_size=7)
            run = record_run(
                RESULTS / "scenes_region_captions.json",
                what=name,
                **about,
                regions="best detection of each thing that a phrase names",
                config={
                    "beam_size": 7,
                    "model": checkpoint.model.config_dict(),
                    "training": recipe.training,
                    "regions": len(truth),
                    "things_without_region": truth.without_region,
                    "snippets": len(snippets["train"]),
                    "examples": [" ".join(words) for words in written[:8]],
                },
                seed=seed,
                metrics=caption_metrics(written, truth.references),
                seconds=checkpoint.metrics["seconds"] + time.perf_counter() - started,
            )
            print(seed, name, run["metrics"], run["config"]["examples"], flush=True)


if __name__ == "__main__":
    main()
