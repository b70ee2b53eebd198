"""`vsa-lite align` and `caption`: a trained model looks at a picture file."""

from __future__ import annotations

import argparse
import html
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from vsa_lite.alignment.chain import best_path, relative_beta
from vsa_lite.captioning.decoding import beam_search, greedy
from vsa_lite.checkpoints import Checkpoint, load_checkpoint
from vsa_lite.cli_options import backbone_from, check_same_features, known_words, regions_from, set_threads
from vsa_lite.data.batches import Batch
from vsa_lite.data.images import open_image
from vsa_lite.data.records import Dataset, Record
from vsa_lite.figures import Picture, show_alignment, show_captions, show_regions
from vsa_lite.pipeline import seen_by
from vsa_lite.regions.features import extract_features
from vsa_lite.viewer import AlignmentViewer

BETAS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # of the viewer's slider


def photograph_features(
    path: str, arguments: argparse.Namespace, features: dict, model: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Region features, mask and boxes of one picture file, made as those that a model was trained on.

    Args:
        path: the picture.
        arguments: with backbone, weights, mean, std, size, proposals and fill.
        features: provenance of the model's training features; method, sizes and number of regions are taken from it.
        model: its name, for messages.

    Returns:
        Features [1, regions, d], mask [1, regions] and boxes [1, regions, 4].

    Raises:
        ValueError: if the backbone is another one.
        PictureError: if the picture cannot be read.
        KeyError: if the proposals are detections from a file that lacks the picture.
    """
    image = open_image(path)
    backbone, _ = backbone_from(arguments, features.get("transform"))
    made = features | backbone.provenance()
    check_same_features(made | {"transform": asdict(backbone.transform)}, features, f"backbone {backbone.name}", model)
    count = features["shape"][1]
    record = Record(0, Path(path).name, Path(path), "test", ())
    chosen = regions_from(arguments, count)[0](record, image)
    with tempfile.TemporaryDirectory() as folder:
        # through a store, so that numbers are rounded as they were in training
        store = extract_features(
            Dataset("a photograph", [record]),
            backbone,
            lambda *_: chosen,
            Path(folder) / "store",
            count=count,
            method=features["method"],
            size=features.get("size", 448),
            pool_size=features.get("pool_size", 7),
            progress=False,
        )
        read = store.read([0])
        del store  # mapped files cannot be removed on Windows
    return read


def _out(arguments: argparse.Namespace, suffix: str, pages: bool) -> Path:
    """Where a picture is written.

    Raises:
        ValueError: for a kind of file that is not made here.
    """
    out = Path(arguments.out or f"{Path(arguments.photo).stem}-{suffix}.png")
    kinds = (".png", ".svg", ".pdf", *((".html",) if pages else ()))
    if out.suffix.lower() not in kinds:
        raise ValueError(f"--out must end in {', '.join(kinds)}; got {out.name!r}")
    out.parent.mkdir(parents=True, exist_ok=True)
    return out


def _align(
    checkpoint: Checkpoint, features: Tensor, mask: Tensor, boxes: Tensor, tokens: list[str], betas: Sequence[float]
) -> tuple[Tensor, Tensor, dict[float, list[int]]]:
    """Products, boxes of the real regions and the best path for every beta, of one sentence of known words."""
    regions = checkpoint.provenance.get("regions")
    features, mask, boxes = features[:, :regions], mask[:, :regions], boxes[0, :regions]
    indices = torch.tensor([checkpoint.vocabulary.encode(tokens)])
    word_mask = torch.ones_like(indices, dtype=torch.bool)
    unary = checkpoint.model.products(Batch(torch.zeros(1).long(), features, mask, boxes[None], indices, word_mask))
    paths = {}
    for beta in betas:
        path, _ = best_path(unary, word_mask, mask, relative_beta(unary, word_mask, mask, beta))
        paths[beta] = path[0].tolist()
    real = int(mask.sum())  # real regions stand first
    return unary[0, :, :real], boxes[:real], paths


def align(arguments: argparse.Namespace) -> None:
    """`align`."""
    set_threads(arguments.threads)
    out = _out(arguments, "aligned", pages=True)
    checkpoint = load_checkpoint(arguments.model, "alignment")
    known = known_words(arguments.sentence, checkpoint.vocabulary, arguments.model)
    seen = photograph_features(arguments.photo, arguments, checkpoint.provenance["features"], arguments.model)
    betas = sorted({*BETAS, arguments.beta})
    unary, boxes, paths = _align(checkpoint, *seen, known, betas)
    image, path = open_image(arguments.photo), paths[arguments.beta]
    viewer = AlignmentViewer(image, boxes, known, unary, path, paths=paths)
    if out.suffix.lower() == ".html":
        head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        title = html.escape(" ".join(known))
        out.write_text(f"{head}<title>{title}</title>{viewer._repr_html_()}</html>\n", encoding="utf-8")
    else:
        _save(show_alignment(image, boxes, known, path), out)
    print(f"{viewer!r}\n{out}")


def _save(picture: Picture, out: Path) -> None:
    """Write a figure for looking at by itself: on white."""
    picture.savefig(out, dpi=144, facecolor="white")


def caption(arguments: argparse.Namespace) -> None:
    """`caption`."""
    set_threads(arguments.threads)
    if arguments.show < 1:
        raise ValueError(f"--show must be at least 1, got {arguments.show}")
    out = _out(arguments, "captioned", pages=False)
    checkpoint = load_checkpoint(arguments.model, "caption", "attention")
    if checkpoint.provenance.get("trained_on", "").startswith("regions"):
        raise ValueError(
            f"{arguments.model} writes about regions: give it as --regions, and a caption model as --model"
        )
    more = arguments.regions or arguments.alignment
    second = load_checkpoint(more, "caption" if arguments.regions else "alignment") if more else None
    made = checkpoint.provenance["features"]
    if second:
        check_same_features(second.provenance["features"], made, more, arguments.model)
    features, mask, boxes = photograph_features(arguments.photo, arguments, made, arguments.model)
    seen = seen_by(checkpoint.model, features[:, : checkpoint.provenance.get("regions")])
    words = _write(checkpoint, seen, arguments.beam)[0]
    sentence, image = " ".join(words), open_image(arguments.photo)
    print(sentence or "(the model wrote no word)")
    if arguments.regions:
        real = int(mask.sum())
        snippets: dict[str, int] = {}  # each once, with the first region, the surest one, that it was written about
        for number, snippet in enumerate(_write(second, features[0, 1:real], arguments.beam), start=1):
            if snippet:
                snippets.setdefault(" ".join(snippet), number)
        chosen = list(snippets.items())[: arguments.show]
        for snippet, number in chosen:
            print(f"  region {number}: {snippet}")
        picture = show_regions(image, boxes[0, [n for _, n in chosen]], [snippet for snippet, _ in chosen], sentence)
    elif arguments.alignment and (known := [word for word in words if word in second.vocabulary]):
        _, real_boxes, paths = _align(second, features, mask, boxes, known, [1.0])
        picture = show_alignment(image, real_boxes, known, paths[1.0])
    else:
        picture = show_captions([image], [sentence])
    _save(picture, out)
    print(out)


def _write(checkpoint: Checkpoint, features: Tensor, beam: int) -> list[list[str]]:
    if not len(features):
        return []
    found = greedy(checkpoint.model, features) if beam == 1 else beam_search(checkpoint.model, features, beam)
    return [checkpoint.vocabulary.decode(tokens) for tokens in found.tokens]
