"""Texts and options that several subcommands of `vsa-lite` share."""

from __future__ import annotations

import argparse

DATA_HELP = """DATA is one of
  scenes                           the embedded paper-cut pictures; nothing is downloaded
  scenes:TRAIN,VAL,TEST            so many of them (2000,250,250 without numbers); --data-seed draws others
  FOLDER                           Flickr8k: a folder with dataset.json and images/ (see `vsa-lite data flickr8k`)
  karpathy:JSON,IMAGES             any data set in Karpathy's format: Flickr8k, Flickr30k, COCO, your own
  coco:INSTANCES,CAPTIONS,IMAGES   COCO's annotation files, with boxes; split val (add ,SPLIT for another)"""

PROPOSALS_HELP = """PROPOSALS say where things may be:
  windows                          sliding windows; they see nothing and are always there
  selective-search                 needs pip install 'vsa-lite[selective-search]'
  detector:NAME[,WEIGHTS]          a detector of torchvision's, such as fasterrcnn_resnet50_fpn
  detections:FILE                  detections made elsewhere (.npz), looked up by the picture's file name
  region-cnn:FILE                  a region CNN of `vsa-lite train region-cnn`"""

BACKBONE_HELP = """BACKBONE is a CNN that describes regions:
  resnet50 --weights DEFAULT       any classifier of torchvision's, with its published weights or a weights file
  file.py:function --weights FILE  a function of yours that returns a module (it is called with FILE)
  region-cnn:FILE                  a region CNN of `vsa-lite train region-cnn`"""


def add_command(
    commands, name: str, summary: str, run: str, example: str, notes: str = "", resumes: bool = False
) -> argparse.ArgumentParser:
    """A subcommand; `run` says where its function is, `resumes` that it goes on after being stopped."""
    epilog = "\n\n".join(part for part in (notes, f"example:\n  {example}") if part)
    command = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run, resumes=resumes)
    command.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: as many as torch takes)")
    command.add_argument("--quiet", action="store_true", help="no progress bars")
    command.add_argument("--debug", action="store_true", help="on an error, show where in the program it arose")
    return command


def add_data_argument(command: argparse.ArgumentParser) -> None:
    """The data set that a command reads, and the seed of scenes."""
    command.add_argument("data", metavar="DATA", help="the data set, see below")
    command.add_argument("--data-seed", type=int, default=0, metavar="N", help="seed of scenes (default: 0)")


def add_device_option(command: argparse.ArgumentParser) -> None:
    """Where networks run."""
    command.add_argument("--device", default="cpu", help="where the network runs: cpu, cuda, mps (default: cpu)")


def add_backbone_options(command: argparse.ArgumentParser) -> None:
    """The CNN that sees a picture, its weights and its input, and where regions come from."""
    command.add_argument("--backbone", required=True, help="the CNN, see below")
    command.add_argument("--weights", help="its weights: a name such as DEFAULT, or a file")
    command.add_argument("--mean", metavar="M", help="of its input, in 0..1: one number, or three as 0.485,0.456,0.406")
    command.add_argument("--std", metavar="S", help="likewise, what its input is divided by")
    command.add_argument("--size", type=int, metavar="N", help="side of the square pictures that it sees, in pixels")
    command.add_argument(
        "--proposals", help="where regions come from, see below (default: the region CNN itself, or windows)"
    )
    command.add_argument("--fill", metavar="PROPOSALS", help="more regions where the proposals run out: windows")
