"""Data sets in Karpathy's format: one JSON file with sentences and splits, beside a folder of pictures.

Flickr8k, Flickr30k and COCO were published like this with the paper, and most later work uses these splits:
https://cs.stanford.edu/people/karpathy/deepimagesent/
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vsa_lite.data.records import Dataset, Record, Sentence, tokenise
from vsa_lite.data.skipped import readable, report_skipped

# COCO's "restval" pictures are the part of its validation set that everybody trains on
SPLIT_OF = {"train": "train", "restval": "train", "val": "val", "test": "test"}


def load_karpathy(
    json_path: str | Path,
    image_folder: str | Path,
    name: str | None = None,
    check_images: bool = False,
    progress: Callable[[Sequence], Any] | None = None,
) -> Dataset:
    """Read a data set in Karpathy's format.

    The image id is the file's `imgid`: it is there in all three data sets and unique within each. (COCO's own number,
    `cocoid`, is part of its file names.) Tokens are used as they stand; where there are none, the raw sentence is
    tokenised. Sentences without a word are left out, as are pictures without a sentence, with one warning that
    counts and names them.

    Args:
        json_path: for example `dataset_flickr8k.json`.
        image_folder: the folder of the pictures; for COCO, the folder of `train2014/` and `val2014/`.
        name: name of the data set; by default the one in the file, or the file's own name.
        check_images: open every picture now and leave out, with a warning, those that are missing or cannot be read.
            Without it a bad picture is only found when it is opened.
        progress: wraps the sequence of pictures while they are checked, for example `tqdm.tqdm`.

    Returns:
        The records in the file's order.

    Raises:
        FileNotFoundError: if the file or the folder is missing, or the folder holds none of the pictures.
        ValueError: if the file is not in this format (the message names the picture and what is wrong with it), or
            if none of the checked pictures can be read.
    """
    json_path, image_folder = Path(json_path), Path(image_folder)
    if not json_path.is_file():
        raise FileNotFoundError(f"no data set file at {json_path}")
    if not image_folder.is_dir():
        raise FileNotFoundError(f"no picture folder at {image_folder}")
    try:
        content = json.loads(json_path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{json_path} is not a JSON file: {error}") from None
    if not isinstance(content, dict) or not isinstance(content.get("images"), list) or not content["images"]:
        raise ValueError(f'{json_path} is not in Karpathy\'s format: it must be {{"images": [...]}} with some pictures')

    records, empty = [], []
    for position, entry in enumerate(content["images"]):
        try:
            record, empty_here = _record(entry, image_folder)
        except ValueError as error:
            raise ValueError(f"{json_path}, picture {position}: {error}") from None
        empty += empty_here
        if record.sentences:
            records.append(record)
    report_skipped(f"sentences without a word in {json_path.name}", empty)
    if not any(record.picture.is_file() for record in records):
        where = f"; the first one should be {records[0].picture}" if records else ""
        raise FileNotFoundError(f"none of the {len(records):,} pictures with sentences is in {image_folder}{where}")
    if check_images:
        records = readable(records, progress)
    return Dataset(name or content.get("dataset") or json_path.stem, records)


def load_flickr8k(root: str | Path, check_images: bool = False) -> Dataset:
    """Flickr8k from one folder: 6,000 pictures to train with, 1,000 to validate, 1,000 to test, five sentences each.

    Args:
        root: a folder with `dataset.json` or `dataset_flickr8k.json`, and the photographs in `images/`,
            `Flicker8k_Dataset/` or `Flickr8k_Dataset/` (the published archive spells it the first way).
        check_images: as in `load_karpathy`.

    Raises:
        FileNotFoundError: if the folder, the file or the photographs are missing.
        ValueError: if the file is not in Karpathy's format.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"no Flickr8k folder at {root}")
    json_path = _first(root, ("dataset.json", "dataset_flickr8k.json"), Path.is_file)
    images = _first(root, ("images", "Flicker8k_Dataset", "Flickr8k_Dataset"), Path.is_dir)
    return load_karpathy(json_path, images, "flickr8k", check_images)


def _record(entry: Any, image_folder: Path) -> tuple[Record, list[str]]:
    """One picture of the file, and the names of its sentences without a word."""
    if not isinstance(entry, Mapping):
        raise ValueError(f"must be an object, got {entry!r}")
    missing = [key for key in ("filename", "imgid", "split", "sentences") if key not in entry]
    if missing:
        raise ValueError(f"has no {', '.join(map(repr, missing))}; its keys are {', '.join(map(repr, entry))}")
    filename, image_id = entry["filename"], entry["imgid"]
    if not isinstance(filename, str) or not filename:
        raise ValueError(f"'filename' must be text, got {filename!r}")
    if type(image_id) is not int:
        raise ValueError(f"{filename}: 'imgid' must be a whole number, got {image_id!r}")
    if not isinstance(entry["split"], str) or entry["split"] not in SPLIT_OF:
        raise ValueError(f"{filename}: 'split' must be one of {', '.join(SPLIT_OF)}, got {entry['split']!r}")
    if not isinstance(entry["sentences"], list):
        raise ValueError(f"{filename}: 'sentences' must be a list, got {entry['sentences']!r}")
    sentences, empty = [], []
    for number, item in enumerate(entry["sentences"]):
        sentence = _sentence(item, f"{filename}: sentence {number}")
        if sentence.tokens:
            sentences.append(sentence)
        else:
            empty.append(f"{filename}, sentence {number}")
    if not entry["sentences"]:
        empty.append(f"{filename}, which has no sentence at all")
    picture = image_folder / str(entry.get("filepath", "")) / filename
    return Record(image_id, filename, picture, SPLIT_OF[entry["split"]], tuple(sentences)), empty


def _sentence(item: Any, where: str) -> Sentence:
    tokens, raw = (item.get("tokens"), item.get("raw")) if isinstance(item, Mapping) else (None, None)
    if tokens is None and raw is None:
        raise ValueError(f"{where} must have 'tokens' or 'raw', got {item!r}")
    if not isinstance(raw, str | None):
        raise ValueError(f"{where}: 'raw' must be text, got {raw!r}")
    if tokens is None:
        tokens = tokenise(raw)
    elif not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise ValueError(f"{where}: 'tokens' must be a list of words, got {tokens!r}")
    return Sentence(" ".join(tokens) if raw is None else raw, tuple(token for token in tokens if token.strip()))


def _first(folder: Path, names: Sequence[str], there: Callable[[Path], bool]) -> Path:
    for name in names:
        if there(folder / name):
            return folder / name
    raise FileNotFoundError(f"{folder} has none of {', '.join(names)}")
