"""`vsa-lite index` and `search`: which of many pictures fit a sentence best."""

from __future__ import annotations

import argparse
import html
import os
import shutil
from pathlib import Path

from PIL import Image

from vsa_lite.checkpoints import load_checkpoint
from vsa_lite.cli_options import check_same_features, device_from, known_words, load_data, set_threads
from vsa_lite.data.records import Record
from vsa_lite.searching.index import PictureIndex

MODEL = "alignment.safetensors"  # the index keeps its model beside it: words of another one mean nothing to it
KINDS = (".html", ".png", ".svg", ".pdf")


def index(arguments: argparse.Namespace) -> None:
    """`index`."""
    from vsa_lite.regions.store import FeatureStore
    from vsa_lite.searching.building import build_index, random_sentences

    set_threads(arguments.threads)
    device = device_from(arguments.device)
    checkpoint = load_checkpoint(arguments.checkpoint, "alignment")
    store = FeatureStore(arguments.features)
    made = checkpoint.provenance["features"]
    check_same_features(store.provenance, made, arguments.features, arguments.checkpoint)
    sentences = random_sentences(checkpoint.vocabulary)
    if arguments.sentences:
        train = load_data(arguments.sentences, arguments.data_seed).split("train")
        known = [checkpoint.vocabulary.encode(sentence.tokens) for record in train for sentence in record.sentences]
        sentences = [tokens for tokens in known if tokens]
    found = build_index(
        checkpoint.model.to(device),
        store,
        arguments.out,
        sentences,
        regions=checkpoint.provenance.get("regions"),
        kind=arguments.kind,
        probes=arguments.probes,
        batch_size=arguments.batch_size,
        restart=arguments.restart,
        progress=not arguments.quiet,
    )
    copy = Path(arguments.out) / MODEL
    temporary = copy.with_name(f"{MODEL}.part")
    shutil.copyfile(arguments.checkpoint, temporary)
    os.replace(temporary, copy)
    size = sum(path.stat().st_size for path in Path(arguments.out).rglob("*") if path.is_file())
    print(
        f"{arguments.out}: {len(found):,} pictures, vectors of size {found.embedding_size}, candidates by "
        f"{found.about['kind']}, {size / 1e6:,.1f} MB"
    )


def search(arguments: argparse.Namespace) -> None:
    """`search`."""
    from vsa_lite.pipeline import embed_sentences

    set_threads(arguments.threads)
    out = Path(arguments.out) if arguments.out else None
    if out and out.suffix.lower() not in KINDS:
        raise ValueError(f"--out must end in {', '.join(KINDS)}; got {out.name!r}")
    if out and not arguments.data:
        raise ValueError("--out shows pictures: give their data set as --data")
    pictures = PictureIndex(arguments.index)
    checkpoint = load_checkpoint(pictures.path / MODEL, "alignment")
    known = known_words(arguments.sentence, checkpoint.vocabulary, arguments.index)
    words = embed_sentences(checkpoint.model, [checkpoint.vocabulary.encode(known)])
    ids, scores = pictures.search(*words, arguments.k, arguments.candidates, arguments.exact)
    records = _records(arguments, pictures, ids[0].tolist()) if arguments.data else None
    for n, (image_id, score) in enumerate(zip(ids[0].tolist(), scores[0].tolist(), strict=True)):
        print(f"{score:8.4f}  {image_id}" + (f"  {records[n].name}" if records else ""))
    if out:
        _show(out, " ".join(known), records, scores[0].tolist())
        print(out)


def _records(arguments: argparse.Namespace, pictures: PictureIndex, ids: list[int]) -> list[Record]:
    """The records of the pictures found.

    Raises:
        ValueError: if DATA is not what the index was made from.
    """
    dataset, made = load_data(arguments.data, arguments.data_seed), pictures.vectors.provenance["features"]
    if made.get("dataset", dataset.name) != dataset.name:
        raise ValueError(f"{arguments.index} is of pictures of {made['dataset']!r}, not of {dataset.name!r}")
    seed = made.get("data_seed", arguments.data_seed)
    if dataset.name == "scenes" and seed != arguments.data_seed:
        raise ValueError(f"{arguments.index} is of scenes of seed {seed}: give --data-seed {seed}")
    return [dataset.by_id(image_id) for image_id in ids]


def _show(out: Path, sentence: str, records: list[Record], scores: list[float]) -> None:
    """The pictures found, as a page or a figure."""
    images: list[Image.Image] = [record.image() for record in records]
    found = enumerate(zip(records, scores, strict=True), start=1)
    captions = [f"{n}. {record.name}: {score:.3f}" for n, (record, score) in found]
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix.lower() != ".html":
        from vsa_lite.figures import show_captions

        show_captions(images, captions).savefig(out, dpi=144, facecolor="white")
        return
    from vsa_lite.viewer import picture_address

    title = html.escape(sentence)
    figures = "".join(
        f'<figure><img src="{picture_address(image)}" alt=""><figcaption>{html.escape(caption)}</figcaption></figure>'
        for image, caption in zip(images, captions, strict=True)
    )
    style = "body{font:16px sans-serif}figure{display:inline-block;width:18em;margin:.5em;vertical-align:top}"
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
    page = f"{head}<style>{style}img{{max-width:100%}}</style><h1>{title}</h1>{figures}</html>\n"
    out.write_text(page, encoding="utf-8")
