"""The files in which word vectors are handed around: word2vec text and binary, GloVe text, gzipped or not.

All are read as a stream, so that a file of millions of words costs only the memory of the wanted ones.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Container, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

MAXIMUM_SIZE = 100_000  # numbers a word
LONGEST = 2**24  # bytes of a line, or of a word in a binary file: more is no word vector

# where it stands, the word, its vector; in place of the vector in words what is wrong with it
Entry = tuple[str, str, np.ndarray | str]


def read_entries(path: Path, wanted: Container[str] | None = None) -> Iterator[Entry]:
    """Every wanted word of a file, in order.

    The kind of file is told by its content: gzip by its first bytes; a first line of two whole numbers is word2vec's,
    without it the file is GloVe's; bytes behind that line that no text has make it binary, as does a name in `.bin`.

    Args:
        path: the file.
        wanted: words whose vectors are parsed; None for all.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is empty, damaged or cut short.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file of word vectors at {path}")
    with _opened(path) as file:
        start = file.read(2**16)
        file.seek(0)
        if not start.strip():
            raise ValueError(f"{path} is empty: it has no word vectors")
        header = re.match(rb"(\d{1,12})[ \t]+(\d{1,12})[ \t\r]*\n", start)
        if header is None:
            yield from _text(file, None, wanted, 1)
            return
        count, size = map(int, header.groups())
        if not 1 <= size <= MAXIMUM_SIZE:
            raise ValueError(f"{path}: vectors must have 1 to {MAXIMUM_SIZE:,} numbers, its first line says {size:,}")
        file.readline()
        # a float nearly always has a byte below 32, of which text has only tabs and line ends
        unprintable = re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]", start[header.end() :])
        if unprintable or path.name.removesuffix(".gz").endswith(".bin"):
            found = yield from _binary(file, size, wanted, count)
        else:
            found = yield from _text(file, size, wanted, 2)
        if found < count:
            raise ValueError(f"{path} was cut short after {found:,} of {count:,} words: get it again")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as plain:
        zipped = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        if not zipped:
            yield plain
            return
        try:
            with gzip.GzipFile(fileobj=plain) as file:
                yield file
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path} is damaged or was cut short ({error}): get it again") from error


def _text(file: BinaryIO, size: int | None, wanted: Container[str] | None, first: int) -> Generator[Entry, None, int]:
    """Lines of a word and its numbers; where no header told the size, the first good line does. Returns how many."""
    found = 0
    for number, line in enumerate(iter(lambda: file.readline(LONGEST), b""), start=first):
        word, *numbers = line.split(None, 1) or [b""]
        if not word:
            continue
        found += 1
        name, place = word.decode("utf-8", "backslashreplace"), f"line {number}"
        if wanted is not None and size is not None and name not in wanted:
            continue
        try:
            vector = np.array([float(part) for part in numbers[0].split()] if numbers else [])
        except ValueError:
            yield place, name, "behind the word not everything is a number"
            continue
        if not len(vector) or len(vector) != (size or len(vector)):
            yield place, name, f"{len(vector)} numbers in place of {size or 'at least 1'}"
            continue
        size = len(vector)
        if wanted is None or name in wanted:
            with np.errstate(over="ignore"):
                yield place, name, vector.astype(np.float32)
    return found


def _binary(file: BinaryIO, size: int, wanted: Container[str] | None, count: int) -> Generator[Entry, None, int]:
    """Words with a space behind them, each followed by its numbers as bytes, and by a line end or not."""
    read, position = b"", 0
    for number in range(1, count + 1):
        while (space := read.find(b" ", position)) < 0 or len(read) < space + 1 + 4 * size:
            more = file.read(2**20)
            if not more or (space < 0 and len(read) - position > LONGEST):
                return number - 1
            read, position = read[position:] + more, 0
        name = read[position:space].lstrip(b"\r\n").decode("utf-8", "backslashreplace")
        if wanted is None or name in wanted:
            yield f"word {number}", name, np.frombuffer(read, "<f4", size, space + 1).astype(np.float32)
        position = space + 1 + 4 * size
    return count


def write_text(path: Path, words: Sequence[str], vectors: np.ndarray) -> None:
    """Write word2vec's text format, gzipped if the name ends in `.gz`; there is always a whole file, or none.

    Raises:
        ValueError: for a word that is empty or has white space in it, which the format cannot hold.
    """
    bad = next((word for word in words if not word or re.search(r"[\x00-\x20]", word)), None)
    if bad is not None:
        raise ValueError(f"the word {bad!r} is empty or has white space in it, which the format cannot hold")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(temporary, "wt", encoding="utf-8", newline="\n") as file:
        file.write(f"{len(words)} {vectors.shape[1]}\n")
        for word, vector in zip(words, vectors, strict=True):
            file.write(f"{word} {' '.join(f'{number:.9g}' for number in vector)}\n")  # 9 digits: float32 comes back
    os.replace(temporary, path)
