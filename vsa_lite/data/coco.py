"""COCO's own annotation files: boxes, categories and captions, and the nouns that name the boxes.

Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014. https://cocodataset.org
"""

from __future__ import annotations

import contextlib
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vsa_lite.data.coco_nouns import noun_table
from vsa_lite.data.records import SPLITS, Dataset, Phrase, Record, Sentence, tokenise
from vsa_lite.data.skipped import readable, report_skipped


def load_coco(
    instances_json: str | Path,
    captions_json: str | Path,
    image_folder: str | Path,
    split: str = "val",
    check_images: bool = False,
    progress: Callable[[Sequence], Any] | None = None,
) -> Dataset:
    """COCO's pictures with their boxes, categories and sentences, ordered by COCO's own image numbers.

    The image ids are those numbers, the labels are the category names. Crowd boxes, which surround many things at
    once, are left out without a word; boxes without an area and pictures without a sentence with a warning.

    Args:
        instances_json: for example `instances_val2017.json`.
        captions_json: for example `captions_val2017.json`, of the same pictures.
        image_folder: the folder of the pictures, for example `val2017/`.
        split: the split that all of these pictures get; COCO keeps one file for each split.
        check_images, progress: as in `load_karpathy`.

    Returns:
        Records whose boxes are (x0, y0, x1, y1) as shares of the picture's sides, [things, 4], float32.

    Raises:
        FileNotFoundError: if a file or the folder is missing.
        ValueError: if a file is not in COCO's format, or the two files have no picture in common.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    image_folder = Path(image_folder)
    if not image_folder.is_dir():
        raise FileNotFoundError(f"no picture folder at {image_folder}")
    instances = _open_coco(instances_json, ("id", "image_id", "category_id", "bbox"))
    captions = _open_coco(captions_json, ("image_id", "caption"))
    labels = {number: category["name"] for number, category in instances.cats.items()}

    records, silent, flat = [], [], []
    for image_id in sorted(instances.imgs):
        image = instances.imgs[image_id]
        sentences = [_sentence(annotation["caption"]) for annotation in captions.imgToAnns.get(image_id, [])]
        sentences = tuple(sentence for sentence in sentences if sentence.tokens)
        if not sentences:
            silent.append(image["file_name"])
            continue
        things = [thing for thing in instances.imgToAnns.get(image_id, []) if not thing.get("iscrowd", 0)]
        unknown = {thing["category_id"] for thing in things} - set(labels)
        if unknown:
            raise ValueError(f"{instances_json}: {image['file_name']} has unknown category ids {sorted(unknown)}")
        try:
            boxes = _shares([thing["bbox"] for thing in things], image)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{instances_json}, {image['file_name']}: {error}") from None
        real = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        flat += [f"{labels[thing['category_id']]} in {image['file_name']}" for thing in np.array(things)[~real]]
        names = tuple(labels[thing["category_id"]] for thing, keep in zip(things, real, strict=True) if keep)
        picture = image_folder / image["file_name"]
        records.append(Record(image_id, image["file_name"], picture, split, sentences, boxes[real], names))
    if not records:
        raise ValueError(f"{instances_json} and {captions_json} have no picture with a sentence in common")
    report_skipped("pictures without a sentence", silent)
    report_skipped("boxes without an area", flat)
    if not any(record.picture.is_file() for record in records):
        raise FileNotFoundError(
            f"none of the {len(records):,} pictures, such as {records[0].name}, is in {image_folder}"
        )
    return Dataset(f"coco {split}", readable(records, progress) if check_images else records)


def link_category_nouns(dataset: Dataset) -> Dataset:
    """Link every noun that names a COCO category to all boxes of that category in its picture.

    "two dogs on a couch" beside boxes of dogs and of a couch gives the phrases "dogs" and "couch"; each box of the
    category is a right answer. A noun without a box of its category is not linked. An ambiguous noun ("bike") is
    linked when exactly one of the categories that it may name is there. The longest phrase wins, so that "hot dog"
    is no dog and "train station" is no train.

    Args:
        dataset: records with boxes and with COCO's category names as labels. Records without boxes stay as they are.

    Returns:
        The same records, with phrases in their sentences.
    """
    table = noun_table()
    return Dataset(dataset.name, [_linked(record, table) for record in dataset])


def phrase_counts(dataset: Dataset) -> Counter[str]:
    """How many phrases are linked to each category; a phrase linked to several boxes counts once."""
    return Counter(
        record.labels[phrase.boxes[0]]
        for record in dataset
        for sentence in record.sentences
        for phrase in sentence.phrases
    )


def find_nouns(
    tokens: Sequence[str], table: dict[tuple[str, ...], frozenset[str]]
) -> list[tuple[int, int, frozenset[str]]]:
    """The table's phrases in a sentence, left to right, longest first: (start, stop, categories); stop is exclusive."""
    longest = max(map(len, table))
    found, start = [], 0
    while start < len(tokens):
        for length in range(min(longest, len(tokens) - start), 0, -1):
            categories = table.get(tuple(tokens[start : start + length]))
            if categories is not None:
                found.append((start, start + length, categories))
                start += length
                break
        else:
            start += 1
    return found


def _linked(record: Record, table: dict[tuple[str, ...], frozenset[str]]) -> Record:
    if record.boxes is None or not len(record.boxes):
        return record
    boxes_of = defaultdict(list)
    for index, label in enumerate(record.labels):
        boxes_of[label].append(index)
    sentences = []
    for sentence in record.sentences:
        phrases = []
        for start, stop, categories in find_nouns(sentence.tokens, table):
            there = [category for category in categories if category in boxes_of]
            if len(there) == 1:
                phrases.append(Phrase(start, stop, tuple(boxes_of[there[0]])))
        sentences.append(replace(sentence, phrases=tuple(phrases)))
    return replace(record, sentences=tuple(sentences))


def _open_coco(path: str | Path, keys: tuple[str, ...]):
    """pycocotools' index of one annotation file, without its printing."""
    from pycocotools.coco import COCO  # here, because older releases import matplotlib.pyplot

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no COCO annotation file at {path}")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(path))
    except (ValueError, AssertionError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a COCO annotation file: {error!r}") from None
    if not coco.imgs or not coco.imgToAnns:
        raise ValueError(f"{path} is not a COCO annotation file: it has no images or no annotations")
    for kind, entries, needed in [
        ("image", coco.dataset["images"], ("id", "file_name", "width", "height")),
        ("annotation", coco.dataset["annotations"], keys),
    ]:
        for position, entry in enumerate(entries):
            missing = [key for key in needed if key not in entry]
            if missing:
                raise ValueError(f"{path}: {kind} {position} has no {', '.join(map(repr, missing))}")
    return coco


def _sentence(caption: str) -> Sentence:
    return Sentence(caption.strip(), tuple(tokenise(caption)))


def _shares(boxes: list[list[float]], image: dict) -> np.ndarray:
    """COCO's (x, y, width, height) in pixels as (x0, y0, x1, y1) in shares of the picture's sides."""
    if not (image["width"] > 0 and image["height"] > 0):
        raise ValueError(f"width and height must be above 0, got {image['width']} and {image['height']}")
    if any(len(box) != 4 for box in boxes):
        raise ValueError("each bbox must be four numbers, x, y, width, height")
    xywh = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    corners = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    return (corners / ([image["width"], image["height"]] * 2)).clip(0, 1).astype(np.float32)
