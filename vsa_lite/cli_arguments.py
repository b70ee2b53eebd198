"""What the command `vsa-lite` understands: its subcommands and their options."""

from __future__ import annotations

import argparse

from vsa_lite import __version__
from vsa_lite.cli_help import (
    BACKBONE_HELP,
    DATA_HELP,
    PROPOSALS_HELP,
    add_backbone_options,
    add_command,
    add_data_argument,
    add_device_option,
)
from vsa_lite.cli_recipes import ALIGNMENT_RECIPES, ATTENTION_RECIPES, CAPTION_RECIPES
from vsa_lite.recipes import Recipe

ABOUT = """Words find their regions, and pictures find their sentences.

A first run, with nothing to download:
  vsa-lite train region-cnn scenes --data-seed 1 --out runs/cnn.safetensors
  vsa-lite extract scenes runs/features --backbone region-cnn:runs/cnn.safetensors
  vsa-lite train words scenes --out runs/words.txt
  vsa-lite train alignment scenes runs/features --words runs/words.txt --out runs/alignment.safetensors
  vsa-lite evaluate runs/alignment.safetensors scenes runs/features --grounding
  vsa-lite train captions scenes runs/features --out runs/captions.safetensors
  vsa-lite evaluate runs/captions.safetensors scenes runs/features --beam 1 7
`vsa-lite COMMAND --help` tells more, with an example of each."""


def command_parser() -> argparse.ArgumentParser:
    """The whole command line; what it parses has `run`, "module:function", beside its options."""
    parser = argparse.ArgumentParser(
        prog="vsa-lite", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"vsa-lite {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_data(commands)
    _add_extract(commands)
    _add_train(commands)
    _add_evaluate(commands)
    _add_align(commands)
    _add_caption(commands)
    _add_index(commands)
    _add_search(commands)
    _add_report(commands)
    return parser


def _add_data(commands) -> None:
    what = commands.add_parser("data", help="get data ready: download Flickr8k, or draw some scenes to look at")
    kinds = what.add_subparsers(dest="kind", required=True, metavar="WHAT")
    flickr = add_command(
        kinds,
        "flickr8k",
        "download Flickr8k (1.1 GB): 8,000 photographs with five sentences each, for research and teaching only",
        "cli_commands:data_flickr8k",
        "vsa-lite data flickr8k",
        resumes=True,
    )
    flickr.add_argument("--out", metavar="FOLDER", help="where to (default: the cache folder of this computer's user)")
    scenes = add_command(
        kinds,
        "scenes",
        "draw some scenes with their sentences, as a page to look at",
        "cli_commands:data_scenes",
        "vsa-lite data scenes --out runs/scenes --count 24",
    )
    scenes.add_argument("--out", required=True, metavar="FOLDER", help="folder for the pictures and index.html")
    scenes.add_argument("--count", type=int, default=24, metavar="N", help="how many (default: 24)")
    scenes.add_argument("--data-seed", type=int, default=0, metavar="N", help="seed of the scenes (default: 0)")


def _add_extract(commands) -> None:
    command = add_command(
        commands,
        "extract",
        "describe the regions of every picture by a CNN, once, for everything that follows",
        "cli_commands:extract",
        "vsa-lite extract ~/flickr8k runs/features --backbone resnet50 --weights DEFAULT",
        "\n\n".join([DATA_HELP, BACKBONE_HELP, PROPOSALS_HELP]),
        resumes=True,
    )
    add_data_argument(command)
    command.add_argument("out", metavar="FEATURES", help="folder for the feature store")
    add_backbone_options(command)
    command.add_argument(
        "--regions", type=int, default=20, metavar="R", help="a picture, the whole one too (default: 20)"
    )
    command.add_argument(
        "--method",
        choices=("align", "crop"),
        default="align",
        help="pool regions from one map of the picture, or cut every one out (R times slower) (default: align)",
    )
    command.add_argument(
        "--map-size", type=int, metavar="N", help="side of the picture that regions are pooled from (default: 448)"
    )
    command.add_argument("--pool-size", type=int, metavar="N", help="side of a pooled region, in cells (default: 7)")
    command.add_argument("--batch-size", type=int, default=4, metavar="N", help="pictures at a time (default: 4)")
    command.add_argument(
        "--shard",
        default="1/1",
        metavar="K/N",
        help="only the K-th of N parts; others do the rest, into the same folder",
    )
    command.add_argument(
        "--mirror", action="store_true", help="see every picture in a mirror: a second view to train on"
    )
    command.add_argument("--limit", type=int, metavar="N", help="only the first N pictures of each split, for a try")
    command.add_argument("--restart", action="store_true", help="throw away what is in FEATURES")
    add_device_option(command)


def _add_training_options(command: argparse.ArgumentParser, out: str) -> None:
    command.add_argument("--out", required=True, metavar="FILE", help=out)
    command.add_argument("--epochs", type=int, metavar="N", help="passes over the data (default: the recipe's)")
    command.add_argument("--seed", type=int, default=0, metavar="N", help="of the training (default: 0)")


def _add_recipe_options(command: argparse.ArgumentParser, recipes: dict[str, Recipe], default: str) -> None:
    command.add_argument(
        "--recipe", choices=recipes, help=f"how to train, see below (default: {default}; on scenes, scenes)"
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


def _recipes_in_words(recipes: dict[str, Recipe]) -> str:
    width = max(map(len, recipes))
    return "recipes:\n" + "\n".join(f"  {name:{width}}  {recipe.about}" for name, recipe in recipes.items())


def _add_train(commands) -> None:
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

    command = add_command(
        kinds,
        "alignment",
        "train the alignment of words and regions from pictures and their sentences",
        "cli_train:alignment",
        "vsa-lite train alignment scenes runs/features --words runs/words.txt --out runs/alignment.safetensors",
        f"{_recipes_in_words(ALIGNMENT_RECIPES)}\n\n{DATA_HELP}",
        resumes=True,
    )
    add_data_argument(command)
    command.add_argument("features", metavar="FEATURES", help="folder that `vsa-lite extract` made from the same data")
    command.add_argument("--words", metavar="FILE", help="word vectors to start from (default: random)")
    _add_recipe_options(command, ALIGNMENT_RECIPES, "quick")
    _add_mirrored(command)
    _add_minimum_count(command)

    command = add_command(
        kinds,
        "captions",
        "train the multimodal RNN to write sentences about whole pictures",
        "cli_train:captions",
        "vsa-lite train captions scenes runs/features --out runs/captions.safetensors",
        f"{_recipes_in_words(CAPTION_RECIPES)}\n\n{DATA_HELP}",
        resumes=True,
    )
    add_data_argument(command)
    command.add_argument("features", metavar="FEATURES", help="folder that `vsa-lite extract` made from the same data")
    command.add_argument("--words", metavar="FILE", help="word vectors to start from (default: random)")
    _add_recipe_options(command, CAPTION_RECIPES, "quick")
    _add_mirrored(command)
    _add_minimum_count(command)

    command = add_command(
        kinds,
        "attention",
        "train a caption model that looks at the regions anew before each word",
        "cli_train:attention",
        "vsa-lite train attention scenes runs/features --alignment runs/alignment.safetensors "
        "--out runs/attention.safetensors",
        f"{_recipes_in_words(ATTENTION_RECIPES)}\n\n{DATA_HELP}",
        resumes=True,
    )
    add_data_argument(command)
    command.add_argument("features", metavar="FEATURES", help="folder that `vsa-lite extract` made from the same data")
    command.add_argument("--words", metavar="FILE", help="word vectors to start from (default: random)")
    command.add_argument(
        "--alignment", metavar="CHECKPOINT", help="of `vsa-lite train alignment`: it teaches where to look"
    )
    command.add_argument("--teacher-weight", type=float, metavar="X", help="of its lessons in the loss (default: 0.3)")
    command.add_argument(
        "--revisions", type=int, default=0, metavar="N", help="times that its words revise where it looks (default: 0)"
    )
    _add_recipe_options(command, ATTENTION_RECIPES, "quick")
    _add_minimum_count(command)

    command = add_command(
        kinds,
        "region-captions",
        "train the multimodal RNN to write about regions, from what a trained alignment found in the sentences",
        "cli_train:region_captions",
        "vsa-lite train region-captions scenes runs/features --alignment runs/alignment.safetensors "
        "--out runs/regions.safetensors",
        f"{_recipes_in_words(CAPTION_RECIPES)}\n\n{DATA_HELP}",
        resumes=True,
    )
    add_data_argument(command)
    command.add_argument("features", metavar="FEATURES", help="the features that the alignment was trained on")
    command.add_argument("--alignment", required=True, metavar="CHECKPOINT", help="of `vsa-lite train alignment`")
    command.add_argument(
        "--beta", type=float, default=1.0, metavar="X", help="reward for staying on a region (default: 1)"
    )
    command.add_argument("--minimum-words", type=int, default=2, metavar="N", help="of a snippet (default: 2)")
    command.add_argument("--maximum-words", type=int, metavar="N", help="of a snippet (default: no limit)")
    _add_recipe_options(command, CAPTION_RECIPES, "quick")


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


def _add_evaluate(commands) -> None:
    command = add_command(
        commands,
        "evaluate",
        "measure a trained model: ranking and grounding of an alignment, BLEU and the like of a caption model",
        "cli_commands:evaluate",
        "vsa-lite evaluate runs/captions.safetensors scenes runs/features --beam 1 7",
        DATA_HELP,
    )
    command.add_argument("checkpoint", metavar="CHECKPOINT", help="a model of `vsa-lite train`")
    add_data_argument(command)
    command.add_argument(
        "features", metavar="FEATURES", help="features of this data, by the CNN of the model's training"
    )
    add_device_option(command)
    command.add_argument("--split", choices=("train", "val", "test"), default="test", help="(default: test)")
    command.add_argument("--grounding", action="store_true", help="do words find their things? needs data with boxes")
    command.add_argument("--beta", type=float, metavar="X", help="ground by the chain with this reward for staying")
    command.add_argument(
        "--beam", type=int, nargs="+", default=[1], metavar="N", help="beam sizes (default: 1, greedy)"
    )
    command.add_argument(
        "--on",
        choices=("pictures", "regions"),
        help="write about pictures or about regions with boxes (default: what the model was trained on)",
    )
    command.add_argument(
        "--record", metavar="FILE", help="add the figures to this results file, such as results/my.json"
    )
    command.add_argument("--name", metavar="WHAT", help="name of the run in the results file")


def _add_align(commands) -> None:
    command = add_command(
        commands,
        "align",
        "show which region of a picture each word of a sentence speaks of",
        "cli_pictures:align",
        'vsa-lite align photo.jpg "a brown dog runs on the beach" --model runs/alignment.safetensors '
        "--backbone resnet50 --weights DEFAULT --out aligned.html",
        f"{BACKBONE_HELP}\nIt must be the one that the model was trained with; sizes are taken from the model.\n\n"
        f"{PROPOSALS_HELP}",
    )
    command.add_argument("photo", metavar="PHOTO", help="a picture file")
    command.add_argument("sentence", metavar="SENTENCE", help="what it shows, in quotation marks")
    command.add_argument("--model", required=True, metavar="CHECKPOINT", help="of `vsa-lite train alignment`")
    add_backbone_options(command)
    command.add_argument(
        "--beta", type=float, default=1.0, metavar="X", help="reward for staying on a region (default: 1)"
    )
    command.add_argument(
        "--out",
        metavar="FILE",
        help=".png, .svg or .pdf; .html for the interactive viewer (default: PHOTO-aligned.png)",
    )


def _add_caption(commands) -> None:
    command = add_command(
        commands,
        "caption",
        "write a sentence about a picture",
        "cli_pictures:caption",
        "vsa-lite caption photo.jpg --model runs/captions.safetensors --backbone resnet50 --weights DEFAULT "
        "--out captioned.png",
        f"{BACKBONE_HELP}\nIt must be the one that the model was trained with; sizes are taken from the model.\n\n"
        f"{PROPOSALS_HELP}",
    )
    command.add_argument("photo", metavar="PHOTO", help="a picture file")
    command.add_argument(
        "--model", required=True, metavar="CHECKPOINT", help="of `vsa-lite train captions` or `train attention`"
    )
    more = command.add_mutually_exclusive_group()
    more.add_argument("--regions", metavar="CHECKPOINT", help="of `train region-captions`: write about regions as well")
    more.add_argument("--alignment", metavar="CHECKPOINT", help="of `train alignment`: show the sentence's regions")
    add_backbone_options(command)
    command.add_argument("--beam", type=int, default=7, metavar="N", help="beam size; 1 is greedy (default: 7)")
    command.add_argument("--show", type=int, default=5, metavar="N", help="regions to write about (default: 5)")
    command.add_argument("--out", metavar="FILE", help=".png, .svg or .pdf (default: PHOTO-captioned.png)")


def _add_index(commands) -> None:
    command = add_command(
        commands,
        "index",
        "make an index of pictures, so that `vsa-lite search` finds those that fit a sentence; "
        "needs pip install 'vsa-lite[scale]'",
        "cli_search:index",
        "vsa-lite index runs/alignment.safetensors runs/features runs/index --sentences scenes",
        DATA_HELP,
        resumes=True,
    )
    command.add_argument("checkpoint", metavar="CHECKPOINT", help="of `vsa-lite train alignment`")
    command.add_argument("features", metavar="FEATURES", help="of the pictures, by the CNN of the model's training")
    command.add_argument("out", metavar="INDEX", help="folder for the index")
    command.add_argument(
        "--sentences",
        metavar="DATA",
        help="learn codewords from its training sentences (default: from random ones of the model's words)",
    )
    command.add_argument("--data-seed", type=int, default=0, metavar="N", help="seed of scenes (default: 0)")
    command.add_argument(
        "--kind",
        default="codewords256",
        help="what finds candidates: codewords, so many, or one vector a picture in an index of FAISS's, such as Flat "
        "or IVF1024,PQ64 (default: codewords256)",
    )
    command.add_argument(
        "--probes", type=int, metavar="N", help="lists of FAISS's that a search looks into (default: one in sixteen)"
    )
    command.add_argument("--batch-size", type=int, default=200, metavar="N", help="pictures at a time (default: 200)")
    command.add_argument("--restart", action="store_true", help="throw away what is in INDEX")
    add_device_option(command)


def _add_search(commands) -> None:
    command = add_command(
        commands,
        "search",
        "find the pictures that fit a sentence best",
        "cli_search:search",
        'vsa-lite search runs/index "a dog in the snow" -k 10 --data scenes --out found.html',
        DATA_HELP,
    )
    command.add_argument("index", metavar="INDEX", help="folder that `vsa-lite index` made")
    command.add_argument("sentence", metavar="SENTENCE", help="what to look for, in quotation marks")
    command.add_argument("-k", type=int, default=10, metavar="N", help="pictures to find (default: 10)")
    command.add_argument(
        "--candidates", type=int, default=3000, metavar="N", help="pictures that are scored exactly (default: 3000)"
    )
    command.add_argument("--exact", action="store_true", help="score every picture: slow")
    command.add_argument("--data", metavar="DATA", help="the pictures' data set, for their names and for --out")
    command.add_argument("--data-seed", type=int, default=0, metavar="N", help="seed of scenes (default: 0)")
    command.add_argument("--out", metavar="FILE", help="show the pictures found: .html, .png, .svg or .pdf")


def _add_report(commands) -> None:
    command = add_command(
        commands,
        "report",
        "make every table and plot of the README and the results page from results/",
        "report:run",
        "vsa-lite report",
    )
    command.add_argument("--results", default="results", metavar="FOLDER", help="of results files (default: results)")
    command.add_argument("--readme", default="README.md", metavar="FILE", help="(default: README.md)")
    command.add_argument("--page", default="book/results.md", metavar="FILE", help="(default: book/results.md)")
    command.add_argument("--plots", metavar="FOLDER", help="for the plots (default: images/results beside the page)")
    command.add_argument("--check", action="store_true", help="write nothing; fail if anything is out of date")
