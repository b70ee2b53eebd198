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
from vsa_lite.cli_train_arguments import add_train

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
    add_train(commands)
    _add_evaluate(commands)
    _add_align(commands)
    _add_caption(commands)
    _add_index(commands)
    _add_search(commands)
    _add_report(commands)
    add_command(
        commands,
        "doctor",
        "say what a report of a fault needs, and what is wrong with this environment",
        "cli_doctor:doctor",
        "vsa-lite doctor",
    )
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
