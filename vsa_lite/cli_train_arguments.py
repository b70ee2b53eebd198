"""What `vsa-lite train` understands: every kind of model with its options."""

from __future__ import annotations

import argparse

from vsa_lite.cli_help import DATA_HELP, add_command, add_data_argument, add_device_option
from vsa_lite.cli_recipes import ALIGNMENT_RECIPES, ATTENTION_RECIPES, CAPTION_RECIPES
from vsa_lite.recipes import Recipe


def _add_training_options(command: argparse.ArgumentParser, out: str) -> None:
    command.add_argument("--out", required=True, metavar="FILE", help=out)
    command.add_argument("--epochs", type=int, metavar="N", help="passes over the data (default: the recipe's)")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of the training (default: 0)")


def _add_model(
    kinds,
    name: str,
    summary: str,
    run: str,
    example: str,
    recipes: dict[str, Recipe],
    features: str = "folder that `vsa-lite extract` made from the same data",
) -> argparse.ArgumentParser:
    """A subcommand that trains a model from features by a recipe."""
    notes = f"{_recipes_in_words(recipes)}\n\n{DATA_HELP}"
    command = add_command(kinds, name, summary, run, example, notes, resumes=True)
    add_data_argument(command)
    command.add_argument("features", metavar="FEATURES", help=features)
    command.add_argument(
        "--recipe", choices=recipes, help="how to train, see below (default: quick; on scenes, scenes)"
    )
    _add_training_options(command, "the checkpoint (.safetensors)")
    command.add_argument("--batch-size", type=int, metavar="N", help="items a step (default: the recipe's)")
    command.add_argument("--learning-rate", type=float, metavar="X", help="the highest one (default: the recipe's)")
    add_device_option(command)
    command.add_argument("--devices", type=int, default=1, metavar="N", help="how many of them here (default: 1)")
    command.add_argument("--nodes", type=int, default=1, metavar="N", help="machines that train together (default: 1)")
    command.add_argument("--precision", choices=("32", "bf16"), default="32", help="of the products (default: 32 bits)")
    command.add_argument("--folder", metavar="STATE", help="where the training state is kept (default: beside FILE)")
    command.add_argument("--restart", action="store_true", help="throw away the training state")
    return command


def _recipes_in_words(recipes: dict[str, Recipe]) -> str:
    width = max(map(len, recipes))
    return "recipes:\n" + "\n".join(f"  {name:{width}}  {recipe.about}" for name, recipe in recipes.items())


def add_train(commands) -> None:
    """`train` with all that can be trained."""
    what = commands.add_parser("train", help="train word vectors, a region CNN, the alignment, or a caption model")
    kinds = what.add_subparsers(dest="kind", required=True, metavar="WHAT")

    command = add_command(
        kinds,
        "words",
        "learn word vectors from the sentences of the training split (word2vec)",
        "cli_train:words",
        "vsa-lite train words scenes --out runs/words.txt",
        DATA_HELP,
    )
    add_data_argument(command)
    _add_training_options(command, "the word vectors, in word2vec's text format (.txt or .txt.gz)")
    _add_minimum_count(command)
    command.add_argument(
        "--architecture", choices=("skip-gram", "cbow"), default="skip-gram", help="(default: skip-gram)"
    )
    command.add_argument("--size", type=int, default=300, metavar="N", help="numbers of a vector (default: 300)")
    command.add_argument(
        "--window", type=int, default=5, metavar="N", help="greatest distance of a neighbour (default: 5)"
    )

    command = add_command(
        kinds,
        "region-cnn",
        "train a small region CNN on pictures with boxes: it proposes regions, and it describes them",
        "cli_train:region_cnn",
        "vsa-lite train region-cnn scenes --out runs/cnn.safetensors",
        DATA_HELP,
    )
    add_data_argument(command)
    _add_training_options(command, "the region CNN (.safetensors)")
    command.add_argument("--pictures", type=int, default=500, metavar="N", help="to learn from (default: 500)")
    command.add_argument(
        "--single-things", type=int, default=1500, metavar="N", help="to pretrain on; 0 for none (default: 1500)"
    )
    command.add_argument("--pretraining-epochs", type=int, default=8, metavar="N", help="passes over them (default: 8)")
    command.add_argument("--size", type=int, default=224, metavar="N", help="side of the pictures (default: 224)")

    command = _add_model(
        kinds,
        "alignment",
        "train the alignment of words and regions from pictures and their sentences",
        "cli_train:alignment",
        "vsa-lite train alignment scenes runs/features --words runs/words.txt --out runs/alignment.safetensors",
        ALIGNMENT_RECIPES,
    )
    _add_words(command)
    _add_mirrored(command)

    command = _add_model(
        kinds,
        "captions",
        "train the multimodal RNN to write sentences about whole pictures",
        "cli_train:captions",
        "vsa-lite train captions scenes runs/features --out runs/captions.safetensors",
        CAPTION_RECIPES,
    )
    _add_words(command)
    _add_mirrored(command)

    command = _add_model(
        kinds,
        "attention",
        "train a caption model that looks at the regions anew before each word",
        "cli_train:attention",
        "vsa-lite train attention scenes runs/features --alignment runs/alignment.safetensors "
        "--out runs/attention.safetensors",
        ATTENTION_RECIPES,
    )
    _add_words(command)
    command.add_argument(
        "--alignment", metavar="CHECKPOINT", help="of `vsa-lite train alignment`: it teaches where to look"
    )
    command.add_argument("--teacher-weight", type=float, metavar="X", help="of its lessons in the loss (default: 0.3)")
    command.add_argument(
        "--revisions", type=int, default=0, metavar="N", help="times that its words revise where it looks (default: 0)"
    )

    command = _add_model(
        kinds,
        "region-captions",
        "train the multimodal RNN to write about regions, from what a trained alignment found in the sentences",
        "cli_train:region_captions",
        "vsa-lite train region-captions scenes runs/features --alignment runs/alignment.safetensors "
        "--out runs/regions.safetensors",
        CAPTION_RECIPES,
        "the features that the alignment was trained on",
    )
    command.add_argument("--alignment", required=True, metavar="CHECKPOINT", help="of `vsa-lite train alignment`")
    command.add_argument(
        "--beta", type=float, default=1.0, metavar="X", help="reward for staying on a region (default: 1)"
    )
    command.add_argument("--minimum-words", type=int, default=2, metavar="N", help="of a snippet (default: 2)")
    command.add_argument("--maximum-words", type=int, metavar="N", help="of a snippet (default: no limit)")


def _add_words(command: argparse.ArgumentParser) -> None:
    command.add_argument("--words", metavar="FILE", help="word vectors to start from (default: random)")
    _add_minimum_count(command)


def _add_mirrored(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--mirrored",
        metavar="FEATURES",
        help="also train on these, made by `extract --mirror`; an epoch is twice as long",
    )


def _add_minimum_count(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--minimum-count", type=int, default=5, metavar="N", help="a word must occur so often to be known (default: 5)"
    )
