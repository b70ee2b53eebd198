"""From words on the command line to things: data sets, backbones, proposers, feature stores."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from vsa_lite.data.records import SPLITS, Dataset, tokenise
from vsa_lite.regions.backbones import Backbone, BackboneError, Transform, load_backbone
from vsa_lite.regions.proposals import GridWindows, ProposedRegions, Proposer, SelectiveSearch
from vsa_lite.regions.store import FeatureStore

if TYPE_CHECKING:  # torchvision behind it takes seconds to import, and most commands do without
    from lightning_fabric import Fabric

    from vsa_lite.regions.region_cnn import RegionCNN
    from vsa_lite.words.vocabulary import Vocabulary

SAME_FEATURES = ("backbone", "weights", "transform", "method", "size", "pool_size")
REGION_CNN = "region-cnn:"


def load_data(text: str, seed: int = 0) -> Dataset:
    """The data set that DATA names: scenes, a folder with Flickr8k, karpathy:... or coco:..., as `--help` explains.

    Args:
        text: as typed.
        seed: of scenes; other data has none.

    Raises:
        ValueError: for a wrong number of parts, and whatever the loaders raise.
    """
    kind, _, rest = text.partition(":")
    if kind == "scenes":
        from vsa_lite.data.scenes import make_scenes

        return make_scenes(*_counts(text, rest), seed=seed) if rest else make_scenes(seed=seed)
    if kind == "karpathy":
        from vsa_lite.data.karpathy import load_karpathy

        return load_karpathy(*_parts(text, rest, 2, "karpathy:JSON,IMAGES"))
    if kind == "coco":
        from vsa_lite.data.coco import link_category_nouns, load_coco

        parts = rest.split(",")
        split = parts.pop() if len(parts) == 4 else "val"
        files = _parts(text, ",".join(parts), 3, "coco:INSTANCES,CAPTIONS,IMAGES (and ,SPLIT if it is not val)")
        return link_category_nouns(load_coco(*files, split=split))
    if not Path(text).is_dir():
        raise FileNotFoundError(
            f"no data called {text!r}: give 'scenes', a folder with Flickr8k, karpathy:JSON,IMAGES or "
            "coco:INSTANCES,CAPTIONS,IMAGES"
        )
    from vsa_lite.data.karpathy import load_flickr8k

    inside = Path(text) / "flickr8k"  # as `vsa-lite data flickr8k --out FOLDER` leaves it
    return load_flickr8k(inside if inside.is_dir() else text)


def _counts(text: str, rest: str) -> list[int]:
    parts = rest.split(",")
    if len(parts) != 3 or not all(part.strip().isdigit() for part in parts):
        raise ValueError(f"scenes takes three numbers of pictures, scenes:TRAIN,VAL,TEST; got {text!r}")
    return [int(part) for part in parts]


def _parts(text: str, rest: str, count: int, wanted: str) -> list[str]:
    parts = rest.split(",")
    if len(parts) != count or not all(parts):
        raise ValueError(f"DATA must be {wanted}, got {text!r}")
    return parts


def first_of_each_split(dataset: Dataset, limit: int | None) -> Dataset:
    """The first `limit` pictures of every split; everything for None.

    Raises:
        ValueError: for a limit below 1.
    """
    if limit is None:
        return dataset
    if limit < 1:
        raise ValueError(f"--limit must be at least 1, got {limit}")
    kept = [[record for record in dataset if record.split == split][:limit] for split in SPLITS]
    return Dataset(dataset.name, [record for records in kept for record in records])


def open_store(path: str, dataset: Dataset, seed: int) -> FeatureStore:
    """The feature store FEATURES, if it was made from this data.

    Raises:
        ValueError: if it was made from scenes of another seed, whose picture numbers are the same.
        StoreError: if it is none, or unfinished.
    """
    store = FeatureStore(path)
    made_from = store.provenance.get("data_seed", seed)
    if dataset.name == "scenes" and made_from != seed:
        raise ValueError(
            f"{path} holds features of scenes of seed {made_from}; give --data-seed {made_from}, not {seed}"
        )
    return store


def _three(text: str, option: str) -> tuple[float, float, float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3):
        raise ValueError(f"{option} must be one number or three with commas between (0.485,0.456,0.406), got {text!r}")
    return tuple(numbers * 3) if len(numbers) == 1 else tuple(numbers)


def backbone_from(arguments: argparse.Namespace, recorded: dict | None = None) -> tuple[Backbone, RegionCNN | None]:
    """The backbone that the options name, and the region CNN where it is one.

    Args:
        arguments: with backbone, weights, mean, std and size.
        recorded: the transform that a checkpoint's features were made with; used where the options say nothing.

    Raises:
        BackboneError: if it cannot be had.
    """
    name, given = arguments.backbone, {}
    for key in ("mean", "std"):
        if getattr(arguments, key) is not None:
            given[key] = _three(getattr(arguments, key), f"--{key}")
    if arguments.size is not None:
        given["size"] = arguments.size
    if name.startswith(REGION_CNN):
        from vsa_lite.regions.region_cnn import RegionCNN

        if given or arguments.weights:
            raise ValueError("a region CNN's file has its weights and its transform: leave --weights, --mean, ... out")
        region_cnn = RegionCNN.load(name.removeprefix(REGION_CNN))
        return region_cnn.as_backbone(), region_cnn
    transform = _transform(recorded) if recorded else None
    try:
        backbone = load_backbone(name, arguments.weights, transform)
        if given and replace(backbone.transform, **given) != backbone.transform:
            # once more, since a backbone is probed with pictures of its transform's size
            backbone = load_backbone(name, arguments.weights, replace(backbone.transform, **given))
    except (BackboneError, FileNotFoundError):
        raise
    except Exception as error:  # a function of the user's may fail in any way
        why = f"{type(error).__name__}: {error}"
        raise BackboneError(f"backbone {name} with the weights {arguments.weights} cannot be made: {why}") from error
    return backbone, None


def _transform(recorded: dict) -> Transform:
    return Transform(recorded["size"], tuple(recorded["mean"]), tuple(recorded["std"]))


def proposer_from(text: str, count: int) -> tuple[Proposer, str, str | None]:
    """The proposer that --proposals names, what it is in words, and a digest of its file if it has one.

    Args:
        text: windows, selective-search, detector:NAME[,WEIGHTS], detections:FILE or region-cnn:FILE.
        count: boxes wanted a picture.

    Raises:
        ValueError: for another word, and whatever the proposers raise.
    """
    kind, _, rest = text.partition(":")
    if text == "windows":
        return GridWindows(), "windows", None
    if text == "selective-search":
        return SelectiveSearch(), "selective search", None
    if kind == "detector" and rest:
        from vsa_lite.regions.detections import DetectorProposals

        name, _, weights = rest.partition(",")
        proposer = DetectorProposals(name, weights or "DEFAULT")
        digest = _digest(weights) if Path(weights).is_file() else None
        return proposer, f"detector {name} ({Path(weights).name or 'DEFAULT'})", digest
    if kind == "detections" and rest:
        from vsa_lite.regions.detections import DetectionsFile

        return DetectionsFile(rest), f"detections of {Path(rest).name}", _digest(rest)
    if kind == "region-cnn" and rest:
        from vsa_lite.regions.region_cnn import RegionCNN, RegionCNNProposals

        return RegionCNNProposals(RegionCNN.load(rest), count), "region CNN", _digest(rest)
    raise ValueError(
        "--proposals must be windows, selective-search, detector:NAME, detector:NAME,WEIGHTS, detections:FILE or "
        f"region-cnn:FILE; got {text!r}"
    )


def _digest(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def regions_from(arguments: argparse.Namespace, count: int) -> tuple[ProposedRegions, dict]:
    """What picks the regions of a picture, and what to note of it beside the features.

    Args:
        arguments: with backbone, proposals and fill.
        count: R, regions a picture, the whole one included.
    """
    own = arguments.backbone if arguments.backbone.startswith(REGION_CNN) else "windows"
    proposer, words, digest = proposer_from(arguments.proposals or own, max(1, count - 1))
    fill = None
    if arguments.fill:
        fill, fill_words, _ = proposer_from(arguments.fill, max(1, count - 1))
        words = f"{words}, then {fill_words}"
    about = {"proposals": words} | ({"proposals_digest": digest} if digest else {})
    return ProposedRegions(proposer, count, fill=fill), about


def regions_in_words(features: dict, regions: int | None) -> str:
    """Where a model's regions come from, for tables: "windows, best 19 and the whole picture".

    Args:
        features: provenance of the feature store.
        regions: how many of them the model uses; None for all.
    """
    count = regions or features["shape"][1]
    if count == 1:
        return "whole picture only"
    cropped = ", cropped" if features.get("method") == "crop" else ""
    return f"{features.get('proposals', 'unknown proposals')}, best {count - 1} and the whole picture{cropped}"


def check_same_features(made: dict, wanted: dict, where: str, model: str) -> None:
    """Refuse features that are not of the kind that a model was trained on.

    Args:
        made: provenance of the features at hand.
        wanted: provenance of the model's training features.
        where: names the former, for the message.
        model: names the latter.

    Raises:
        ValueError: naming the first thing that differs.
    """
    for key in SAME_FEATURES:
        here, there = (json.loads(json.dumps(provenance.get(key))) for provenance in (made, wanted))
        if here != there:
            raise ValueError(
                f"{where} and the features that {model} was trained on differ: {key} is {here}, in training it was "
                f"{there}; give the same --backbone and --weights, or features made with them"
            )


def known_words(sentence: str, vocabulary: Vocabulary, model: str) -> list[str]:
    """The words of a sentence that a vocabulary knows; the others are named on the terminal.

    Raises:
        ValueError: if it knows none; `model` names whose vocabulary it is.
    """
    tokens = tokenise(sentence)
    known = [token for token in tokens if token in vocabulary]
    if not known:
        raise ValueError(f"none of the words of {sentence!r} is known to {model}: say it otherwise")
    if unknown := [token for token in tokens if token not in vocabulary]:
        print(f"not known to the model, left out: {', '.join(unknown)}")
    return known


def set_threads(threads: int | None) -> None:
    """Use so many threads; what torch chooses for None.

    Raises:
        ValueError: for a number below 1.
    """
    if threads is None:
        return
    if threads < 1:
        raise ValueError(f"--threads must be at least 1, got {threads}")
    torch.set_num_threads(threads)


def device_from(name: str) -> torch.device:
    """The device of this name.

    Raises:
        ValueError: if there is none here.
    """
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:  # CPU-only builds of torch assert
        raise ValueError(f"--device {name}: not here ({str(error).splitlines()[0]}); cpu always works") from error


def fabric_from(arguments: argparse.Namespace) -> Fabric | None:
    """Lightning's Fabric for --devices, --nodes and --precision, or as `torchrun` says; None for one plain process.

    It is launched: this very command runs in every process.

    Raises:
        ValueError: for numbers below 1, without Lightning Fabric, or for devices that are not here.
    """
    devices, nodes = arguments.devices, arguments.nodes
    if devices < 1 or nodes < 1:
        raise ValueError(f"--devices and --nodes must be at least 1, got {devices} and {nodes}")
    if "TORCHELASTIC_RUN_ID" in os.environ:
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    if devices * nodes == 1 and arguments.precision == "32":
        return None
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.utilities.exceptions import MisconfigurationException
    except ImportError:
        raise ValueError(
            "--devices, --nodes and --precision need Lightning Fabric: pip install 'vsa-lite[scale]'"
        ) from None
    precision = {"32": "32-true", "bf16": "bf16-mixed"}[arguments.precision]
    strategy = "ddp" if devices * nodes > 1 else "auto"
    try:
        fabric = Fabric(
            accelerator=torch.device(arguments.device).type,
            strategy=strategy,
            devices=devices,
            num_nodes=nodes,
            precision=precision,
        )
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        raise ValueError(f"--device {arguments.device} --devices {devices}: {str(error).splitlines()[0]}") from error
    fabric.launch()
    return fabric
