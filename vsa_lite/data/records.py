"""One record type for every data set: a picture, its sentences, and what is known about what stands where.

Boxes are always (x0, y0, x1, y1) as shares of the picture's width and height, 0 to 1, whatever its size in pixels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from vsa_lite.data.images import open_image

SPLITS = ("train", "val", "test")


def tokenise(text: str) -> list[str]:
    """Lower case, everything but letters and digits dropped, split at white space (the paper's preprocessing)."""
    return re.sub(r"[^\w\s]|_", "", text.lower()).split()


class Drawing(Protocol):
    """A picture that is drawn when it is asked for."""

    def draw(self) -> Image.Image: ...


@dataclass(frozen=True)
class Phrase:
    """Some words of a sentence and the boxes that they name: tokens `start` to `stop` (exclusive).

    Attributes:
        start, stop: positions in the sentence's tokens.
        boxes: indices into the record's boxes; each of them is a right answer.
    """

    start: int
    stop: int
    boxes: tuple[int, ...]


@dataclass(frozen=True)
class Sentence:
    """A sentence as written, as tokens, and, where it is known, what its phrases stand for."""

    raw: str
    tokens: tuple[str, ...]
    phrases: tuple[Phrase, ...] = ()


@dataclass(frozen=True, eq=False)
class Record:
    """A picture and everything known about it.

    Attributes:
        image_id: unique within the data set.
        name: for people: a file name, or a drawing's number.
        picture: a file, or a drawing.
        split: "train", "val" or "test".
        sentences: usually five.
        boxes: [things, 4], float32, shares of the picture's sides; None where no boxes are known.
        labels: the kind of each box's thing.
    """

    image_id: int
    name: str
    picture: Path | Drawing
    split: str
    sentences: tuple[Sentence, ...]
    boxes: np.ndarray | None = None
    labels: tuple[str, ...] = ()

    def image(self) -> Image.Image:
        """The picture, in RGB.

        Raises:
            PictureError: if its file is missing or cannot be read.
        """
        return open_image(self.picture) if isinstance(self.picture, Path) else self.picture.draw()


class Dataset(Sequence[Record]):
    """Records in a fixed order, with a name; every source of data makes one of these."""

    def __init__(self, name: str, records: Iterable[Record]) -> None:
        self.name = name
        self.records = tuple(records)
        self._by_id = {record.image_id: record for record in self.records}
        if len(self._by_id) != len(self.records):
            raise ValueError(f"{name}: image ids must be unique, got {len(self.records) - len(self._by_id)} repeated")

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index):
        return self.records[index]

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __repr__(self) -> str:
        counts = ", ".join(f"{split} {sum(r.split == split for r in self.records):,}" for split in SPLITS)
        return f"Dataset({self.name!r}: {counts})"

    def by_id(self, image_id: int) -> Record:
        """The record of a picture."""
        try:
            return self._by_id[image_id]
        except KeyError:
            raise KeyError(f"{self.name} has no image id {image_id}") from None

    def split(self, name: str) -> Dataset:
        """The records of one split.

        Raises:
            ValueError: for a name that is not a split, or a split without a record.
        """
        if name not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {name!r}")
        records = [record for record in self.records if record.split == name]
        if not records:
            raise ValueError(f"{self.name} has no record in the split {name!r}")
        return Dataset(self.name, records)
