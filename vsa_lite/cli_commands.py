"""`vsa-lite data`, `extract` and `evaluate`, from the command line."""

from __future__ import annotations

import argparse
import html
import re
import warnings
from pathlib import Path

from vsa_lite.alignment.pairs import Pairs
from vsa_lite.checkpoints import Checkpoint, load_checkpoint
from vsa_lite.cli_options import (
    backbone_from,
    check_same_features,
    device_from,
    first_of_each_split,
    load_data,
    open_store,
    regions_from,
    regions_in_words,
    set_threads,
)
from vsa_lite.data.records import Dataset


def data_flickr8k(arguments: argparse.Namespace) -> None:
    """`data flickr8k`; the licence is printed by the download itself."""
    from vsa_lite.data.downloads import fetch_flickr8k
    from vsa_lite.data.karpathy import load_flickr8k

    root = fetch_flickr8k(arguments.out, progress=not arguments.quiet)
    print(f"{load_flickr8k(root)!r}\nuse it as DATA: {root}")


def data_scenes(arguments: argparse.Namespace) -> None:
    """`data scenes`: pictures as files, and a page that shows them with their sentences."""
    from vsa_lite.data.scenes import make_scenes

    dataset = make_scenes(arguments.count, 0, 0, seed=arguments.data_seed)
    if not len(dataset):
        raise ValueError(f"--count must be at least 1, got {arguments.count}")
    folder = Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for record in dataset:
        record.image().save(folder / f"{record.name}.png")
        lines = "".join(f"<li>{html.escape(sentence.raw)}</li>" for sentence in record.sentences)
        parts.append(f'<figure><img src="{record.name}.png" alt=""><ul>{lines}</ul></figure>')
    style = "body{font:16px sans-serif}figure{display:inline-block;width:22em;vertical-align:top}"
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Scenes</title><style>{style}</style>'
    (folder / "index.html").write_text(page + "".join(parts) + "</html>\n", encoding="utf-8")
    print(f"{len(dataset)} scenes with their sentences: open {folder / 'index.html'}")


def extract(arguments: argparse.Namespace) -> None:
    """`extract`."""
    from vsa_lite.regions.features import extract_features

    set_threads(arguments.threads)
    device = device_from(arguments.device)
    dataset = first_of_each_split(load_data(arguments.data, arguments.data_seed), arguments.limit)
    backbone, own = backbone_from(arguments)
    regions, about = regions_from(arguments, arguments.regions)
    if dataset.name == "scenes":
        about["data_seed"] = arguments.data_seed
    # a region CNN describes regions as it was trained to: pooled from maps of its own size
    sizes = {"size": own.config["size"], "pool_size": own.config["pool_size"]} if own else {}
    sizes |= {"size": arguments.map_size} if arguments.map_size is not None else {}
    sizes |= {"pool_size": arguments.pool_size} if arguments.pool_size is not None else {}
    for name in ("map_size", "pool_size", "regions", "batch_size"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ValueError(f"--{name.replace('_', '-')} must be at least 1, got {value}")
    if not re.fullmatch(r"\d+/\d+", arguments.shard):
        raise ValueError(f"--shard must be such as 2/8, the second of eight parts, got {arguments.shard!r}")
    shard = tuple(map(int, arguments.shard.split("/")))
    store = extract_features(
        dataset,
        backbone.to(device),
        regions,
        arguments.out,
        count=arguments.regions,
        method=arguments.method,
        batch_size=arguments.batch_size,
        mirror=arguments.mirror,
        shard=shard,
        provenance=about,
        restart=arguments.restart,
        progress=not arguments.quiet,
        **sizes,
    )
    if store is None:
        print(f"{arguments.out}: part {arguments.shard} is done; others are not finished yet")
        return
    real = store.mask.sum(1)[store.mask[:, 0]].mean()
    print(
        f"{arguments.out}: {len(store):,} pictures, {real:.1f} of at most {arguments.regions} regions each, "
        f"features of size {store.feature_size} by {backbone.name}"
    )


def evaluate(arguments: argparse.Namespace) -> None:
    """`evaluate`: measures, prints, and records where asked to."""
    from vsa_lite.evaluation.grounding import evaluate_grounding
    from vsa_lite.pipeline import evaluate_ranking

    set_threads(arguments.threads)
    if (arguments.record is None) != (arguments.name is None):
        raise ValueError("--record and --name go together: a file for the figures, and the name of the run")
    device = device_from(arguments.device)
    checkpoint = load_checkpoint(arguments.checkpoint)
    _check_options(arguments, checkpoint.model.kind)
    checkpoint.model.to(device)
    dataset = load_data(arguments.data, arguments.data_seed)
    store = open_store(arguments.features, dataset, arguments.data_seed)
    made = checkpoint.provenance["features"]
    check_same_features(store.provenance, made, arguments.features, arguments.checkpoint)
    split, regions = dataset.split(arguments.split), checkpoint.provenance.get("regions")
    if checkpoint.model.kind == "alignment":
        pairs = Pairs(split, store, checkpoint.vocabulary, regions)
        columns = {"": evaluate_ranking(checkpoint.model, pairs)}
        if arguments.grounding:
            columns[""] |= evaluate_grounding(checkpoint.model, pairs, arguments.beta)
    else:
        columns = _evaluate_captions(arguments, checkpoint, dataset, store, split)
        if arguments.grounding:  # of the attention, at the words that people wrote
            pairs = Pairs(split, store, checkpoint.vocabulary, regions)
            columns["attention"] = evaluate_grounding(checkpoint.model, pairs, arguments.beta)
    _print_table(columns)
    if arguments.record:
        _record(arguments, checkpoint, store.provenance, columns, dataset.name)


def _check_options(arguments: argparse.Namespace, kind: str) -> None:
    """Refuse options that mean nothing for this kind of model."""
    foreign = {
        "alignment": {"beam": [1], "on": None},
        "caption": {"grounding": False, "beta": None},
        "attention": {"on": None},
    }[kind]
    given = [f"--{name}" for name, default in foreign.items() if getattr(arguments, name) != default]
    if kind != "caption" and arguments.beta is not None and not arguments.grounding:
        given.append("--beta without --grounding")
    if given:
        raise ValueError(f"{', '.join(given)} means nothing for a model of the kind {kind!r}: leave it out")


def _evaluate_captions(arguments, checkpoint: Checkpoint, dataset: Dataset, store, split: Dataset) -> dict:
    from vsa_lite.evaluation.captions import caption_metrics, missing_metrics
    from vsa_lite.evaluation.region_captions import region_references
    from vsa_lite.pipeline import evaluate_captions, known_sentences, write_captions

    model, vocabulary = checkpoint.model, checkpoint.vocabulary
    own = "regions" if checkpoint.provenance.get("trained_on", "").startswith("regions") else "pictures"
    if why := missing_metrics():
        warnings.warn(why, stacklevel=2)
    columns, meteor = {}, not why
    if (arguments.on or own) == "regions":
        there = region_references(split, store)
        for beam in arguments.beam:
            candidates = write_captions(model, vocabulary, there.features, beam)
            columns[f"beam {beam}"] = caption_metrics(candidates, there.references, with_meteor=meteor)
        return columns
    pairs = Pairs(split, store, vocabulary, checkpoint.provenance["regions"])
    trained_on = [record for record in dataset if record.split == "train"]
    training = known_sentences(Dataset(dataset.name, trained_on), vocabulary) if trained_on else None
    for beam in arguments.beam:
        columns[f"beam {beam}"] = evaluate_captions(model, pairs, beam, training, meteor)
    return columns


def _print_table(columns: dict[str, dict[str, float]]) -> None:
    keys = list(dict.fromkeys(key for metrics in columns.values() for key in metrics))
    width = max(map(len, keys))
    if any(columns):
        print(" " * width + "".join(f"{name:>10}" for name in columns))
    for key in keys:
        print(f"{key:{width}}" + "".join(f"{metrics.get(key, float('nan')):10.1f}" for metrics in columns.values()))


def _record(arguments, checkpoint: Checkpoint, features: dict, columns: dict, dataset_name: str) -> None:
    from vsa_lite.results import record_run

    provenance, seconds = checkpoint.provenance, checkpoint.metrics.get("seconds", 0.0)
    keys = ("recipe", "training", "beta", "minimum_words", "maximum_words")
    config = {"model": checkpoint.model.config_dict()} | {key: provenance[key] for key in keys if key in provenance}
    for column, metrics in columns.items():
        record_run(
            arguments.record,
            what=f"{arguments.name}, {column}" if column else arguments.name,
            dataset=dataset_name,
            split=arguments.split,
            backbone=features["backbone"],
            regions=regions_in_words(features, provenance.get("regions")),
            config=config,
            seed=provenance.get("seed"),
            metrics=metrics | {"minutes": seconds / 60},
            seconds=seconds,
        )
    print(f"{arguments.record}: {len(columns)} run{'s' if len(columns) > 1 else ''} recorded as {arguments.name!r}")
