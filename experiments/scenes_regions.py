"""Region CNN on scenes: pretrained on single things against random initialisation, same fine-tuning; other proposals.

    python experiments/scenes_regions.py --seeds 0 1 2

Needs no download. Writes results/scenes_regions.json: about two minutes a seed on one quiet core.
"""

from __future__ import annotations

import argparse
import time
from copy import deepcopy
from pathlib import Path

import torch

from vsa_lite.data.scenes import LABELS, make_scenes, make_single_things
from vsa_lite.regions.proposals import GridWindows, Proposals, SelectiveSearch, select_regions
from vsa_lite.regions.region_cnn import RegionCNN
from vsa_lite.regions.region_cnn_training import (
    classification_accuracy,
    detection_metrics,
    fine_tune,
    load_pictures,
    pretrain,
    proposal_upper_bound,
    thing_boxes,
)
from vsa_lite.results import record_run

RESULTS = Path(__file__).parent.parent / "results" / "scenes_regions.json"
SINGLE_SIZE = 96  # pixels: single things need no more


def measure_proposers(scenes, test: tuple, count: int) -> None:
    """The upper bound of proposals that are not trained, beside the whole picture: the best 19 of each."""
    boxes, classes = test[1:]
    for name, proposer in (("windows", GridWindows()), ("selective search", SelectiveSearch())):
        started = time.perf_counter()
        found = []
        for record in scenes:
            proposals = proposer(record.image(), record.name)
            regions, mask = select_regions(proposals.boxes, proposals.scores, count + 1)
            found.append(Proposals(regions[mask][1:], torch.ones(int(mask.sum()) - 1)))
        record_run(
            RESULTS,
            what="proposals without training",
            dataset="scenes",
            split="test",
            backbone="none",
            regions=f"{name}, best {count} and the whole picture",
            config={"test_scenes": len(scenes)},
            seed=0,
            metrics={"proposal_upper_bound": proposal_upper_bound(found, boxes, classes > 0)},
            seconds=time.perf_counter() - started,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--single-things", type=int, default=1500, help="pictures to pretrain on")
    parser.add_argument("--scenes", type=int, nargs="+", default=[100, 500], help="scenes to fine-tune on")
    parser.add_argument("--test-scenes", type=int, default=250)
    parser.add_argument("--size", type=int, default=224, help="side of a scene for the CNN, in pixels")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    def pictures_and_boxes(dataset):
        return load_pictures((r.image() for r in dataset), arguments.size), *thing_boxes(dataset, LABELS)

    def single_things(count, start):
        things = make_single_things(count, start=start)
        pictures = load_pictures((drawing.draw() for drawing, _ in things), SINGLE_SIZE)
        return pictures, torch.tensor([1 + LABELS.index(label) for _, label in things])

    dataset = make_scenes(max(arguments.scenes), 0, arguments.test_scenes)
    train, test = pictures_and_boxes(dataset.split("train")), pictures_and_boxes(dataset.split("test"))
    single, held_out = single_things(arguments.single_things, 0), single_things(500, 10 * arguments.single_things)
    measure_proposers(dataset.split("test"), test, count=19)
    for seed in arguments.seeds:
        random = RegionCNN(LABELS, torch.Generator().manual_seed(seed), size=arguments.size)
        pretrained = deepcopy(random)
        about = {"dataset": "scenes", "split": "test", "backbone": "region CNN", "seed": seed}
        started = time.perf_counter()
        pretrain(pretrained, *single, torch.Generator().manual_seed(seed + 1000))
        record_run(
            RESULTS,
            what="pretraining on single things",
            **about,
            regions="whole picture",
            config={**random.config, "single_things": len(single[0]), "single_size": SINGLE_SIZE},
            metrics={"classification_accuracy": classification_accuracy(pretrained, *held_out)},
            seconds=time.perf_counter() - started,
        )
        for scenes in arguments.scenes:
            for name, start in (("random", random), ("pretrained", pretrained)):
                model = deepcopy(start)
                # the classifier is new in both: detection's classes need not be those of pretraining
                model.fresh_classifier(LABELS, torch.Generator().manual_seed(seed + 2000))
                epochs = 6 if scenes >= 300 else 12
                started = time.perf_counter()
                generator = torch.Generator().manual_seed(seed + 3000)
                fine_tune(model, *(part[:scenes] for part in train), generator, epochs=epochs)
                seconds = time.perf_counter() - started
                metrics = detection_metrics(model, *test)
                record_run(
                    RESULTS,
                    what=f"fine-tuned on {scenes} scenes from {name} weights",
                    **about,
                    regions="best 19 detections and the whole picture",
                    config={**random.config, "scenes": scenes, "epochs": epochs, "initialisation": name},
                    metrics=metrics,
                    seconds=seconds,
                )
                print(seed, scenes, name, {key: round(value, 1) for key, value in metrics.items()}, f"{seconds:.0f} s")


if __name__ == "__main__":
    main()
