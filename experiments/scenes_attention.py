"""Attention on scenes, whose truth is known: what the regulariser, a teacher, feedback and the cycle each give.

    python experiments/scenes_attention.py --work FOLDER --seeds 0 1 2

FOLDER may be that of scenes_pipeline.py: region CNN, features and alignments are taken from it, or made. A seed trains
every variant from the same first weights, and is taught by the alignment of its own seed. Writes
results/scenes_attention.json; a variant and seed that is recorded there, of this very commit and with nothing changed
since, is not trained again.

Beside the captions stands where the attention was: `attention_mass`, the share of it on regions that overlap the named
thing by half (`attention_mass_first`: before it was revised), and the grounding of the region with most of it, all at
the true words; `found_again_...` is where the cycle finds them again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from scenes_pipeline import FEWER, extract

from vsa_lite.alignment.pairs import Pairs
from vsa_lite.captioning.teacher import alignment_targets, shuffled
from vsa_lite.data.scenes import make_scenes
from vsa_lite.evaluation.attention import attention_grounding, true_targets
from vsa_lite.pipeline import evaluate_captions, known_sentences, train_alignment, train_attention
from vsa_lite.recipes import SCENES_ALIGNMENT, SCENES_ATTENTION
from vsa_lite.results import commit, load_runs, record_run
from vsa_lite.training import TrainingConfig
from vsa_lite.words.vocabulary import Vocabulary

RESULTS = Path(__file__).parent.parent / "results" / "scenes_attention.json"
TAUGHT, REVISED, CYCLE, EVEN = {"teacher_weight": 0.3}, {"revisions": 1}, {"cycle_weight": 0.5}, {"doubly_weight": 0.01}

# what is changed, and who teaches
VARIANTS: dict[str, tuple[dict, str]] = {
    "attention": ({}, ""),
    "+ doubly stochastic": (EVEN, ""),
    "+ teacher": (TAUGHT, "alignment"),
    "+ revision": (REVISED, ""),
    "+ cycle": (CYCLE, ""),
    "+ cycle, writer held": (CYCLE | {"cycle_holds": True}, ""),
    "+ teacher, revision, cycle": (TAUGHT | REVISED | CYCLE, "alignment"),
    "control: shuffled teacher": (TAUGHT, "shuffled"),
    "control: second pass, no words": (REVISED | {"feedback": "state"}, ""),
    "hard attention": ({"hard": True}, ""),
    "taught by true boxes": (TAUGHT, "truth"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the region CNN, features, training states")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=VARIANTS, help="some variants")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    dataset = make_scenes()
    store = extract(dataset, arguments.work)
    vocabulary = Vocabulary.from_dataset(dataset)
    seen = known_sentences(dataset.split("train"), vocabulary)
    train, test = (Pairs(dataset.split(name), store, vocabulary, FEWER) for name in ("train", "test"))
    here = commit()
    clean = here and not here.endswith("-dirty")  # of changed code nobody knows whether it is the same
    done = {(run["what"], run["seed"]) for run in load_runs(RESULTS) if clean and run["commit"] == here}

    for seed in arguments.seeds:
        aligned = train_alignment(
            *(dataset, store, vocabulary, None, SCENES_ALIGNMENT.model),
            TrainingConfig(**SCENES_ALIGNMENT.training, seed=seed),
            folder=arguments.work / f"seed-{seed}" / "alignment",
        )
        attention, mask = alignment_targets(aligned.model, train)
        teachers = {
            "": None,
            "alignment": (attention, mask),
            "shuffled": (shuffled(attention, mask, torch.Generator().manual_seed(seed)), mask),
            "truth": true_targets(train),
        }
        for name, (extras, teacher) in VARIANTS.items():
            if (name, seed) in done or (arguments.only and name not in arguments.only):
                continue
            made = train_attention(
                *(dataset, store, vocabulary, SCENES_ATTENTION.model | extras),
                TrainingConfig(**SCENES_ATTENTION.training, seed=seed),
                regions=FEWER,
                targets=teachers[teacher],
                progress=False,
            )
            model = made.model
            run = record_run(
                RESULTS,
                what=name,
                dataset="scenes",
                split="test",
                backbone="region CNN",
                regions=f"best {FEWER - 1} detections and the whole picture",
                config={
                    "model": model.config_dict(),
                    "training": SCENES_ATTENTION.training,
                    "teacher": teacher or "none",
                },
                seed=seed,
                metrics={
                    **evaluate_captions(model, test, 3, seen),
                    **attention_grounding(model, test),
                    "million_parameters": sum(part.numel() for part in model.parameters()) / 1e6,
                },
                seconds=made.metrics["seconds"],
            )
            print(seed, name, {key: run["metrics"][key] for key in ("bleu_4", "cider", "attention_mass")}, flush=True)


if __name__ == "__main__":
    main()
