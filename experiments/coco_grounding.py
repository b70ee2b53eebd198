"""An alignment trained on Flickr8k finds the things of COCO's photographs: nouns against true boxes.

    python experiments/coco_grounding.py ALIGNMENT... --backbone NAME --weights FILE --mean 0.5 --std 0.5 --work FOLDER

ALIGNMENT are checkpoints of experiments/flickr8k_alignment.py, with the backbone that they were trained on. Every noun
that names a COCO category is a phrase, and each box of that category in the picture a right answer. Regions are
proposed by selective search and by windows, since no detector that knows COCO's boxes may take part. The pictures come
from VSA_LITE_DATA. Writes results/coco_grounding.json.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import torch

from vsa_lite.alignment.pairs import Pairs
from vsa_lite.checkpoints import load_checkpoint
from vsa_lite.data.coco import link_category_nouns, load_coco
from vsa_lite.evaluation.grounding import evaluate_grounding
from vsa_lite.regions.backbones import Transform, load_backbone
from vsa_lite.regions.features import extract_features
from vsa_lite.regions.proposals import GridWindows, ProposedRegions, SelectiveSearch
from vsa_lite.results import record_run

RESULTS = Path(__file__).parent.parent / "results" / "coco_grounding.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("alignments", type=Path, nargs="+", metavar="ALIGNMENT")
    parser.add_argument("--backbone", required=True, help="as for `vsa-lite extract`")
    parser.add_argument("--weights")
    parser.add_argument("--mean", type=float)
    parser.add_argument("--std", type=float)
    parser.add_argument("--work", type=Path, required=True, help="folder for the features")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    checkpoints = [load_checkpoint(path, "alignment") for path in arguments.alignments]
    made = checkpoints[0].provenance["features"]
    if any(other.provenance["features"] != made for other in checkpoints):
        parser.error("the alignments were trained on different features")
    transform = Transform(made["transform"]["size"])
    if arguments.mean is not None and arguments.std is not None:
        transform = Transform(transform.size, (arguments.mean,) * 3, (arguments.std,) * 3)
    backbone = load_backbone(arguments.backbone, arguments.weights, transform)
    if backbone.provenance()["weights"] != made["weights"]:
        parser.error(f"the alignments were trained on features of {made['backbone']} with other weights")
    coco = Path(os.environ["VSA_LITE_DATA"]) / "coco"
    annotations = coco / "annotations"
    dataset = link_category_nouns(
        load_coco(
            annotations / "instances_val2017.json",
            annotations / "captions_val2017.json",
            coco / "val2017",
            split="test",
        )
    )
    count = 20
    for name, proposer in (("selective search", SelectiveSearch()), ("windows", GridWindows())):
        regions = ProposedRegions(proposer, count)
        store = extract_features(
            dataset,
            backbone,
            regions,
            arguments.work / name.replace(" ", "-"),
            count=count,
            method=made["method"],
            **{key: made[key] for key in ("size", "pool_size") if key in made},
            provenance={"proposals": name},
        )
        for checkpoint in checkpoints:
            started = time.perf_counter()
            pairs = Pairs(dataset, store, checkpoint.vocabulary)
            for what, beta in (("best region of the noun", None), ("chain, beta 0.5", 0.5)):
                run = record_run(
                    RESULTS,
                    what=what,
                    dataset="coco val2017, 79 photographs",
                    split="test",
                    backbone=made["backbone"],
                    regions=f"{name}: {count - 1} and the whole picture",
                    config={
                        "trained_on": checkpoint.provenance["dataset"],
                        "model": checkpoint.model.config_dict(),
                        "trained_on_regions": made["proposals"],
                    },
                    seed=checkpoint.provenance["seed"],
                    metrics=evaluate_grounding(checkpoint.model, pairs, beta),
                    seconds=time.perf_counter() - started,
                )
                print(name, what, run["metrics"], flush=True)


if __name__ == "__main__":
    main()
