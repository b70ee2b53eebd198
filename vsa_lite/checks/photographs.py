"""Self-checks of chapter 15: an entry of a data set, a picture turned upright, and copies across splits.

Each tries your function on random input beside a right one. Where your answer is one of the usual mistakes, the error
says which; a function that raises NotImplementedError is still to be written, and that is no error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from vsa_lite.checks import self_check
from vsa_lite.checks.words import _agree
from vsa_lite.data.records import tokenise


@self_check
def check_entry(yours: Callable[[str, int, str, list[str]], dict]) -> None:
    """`yours(filename, number, split, sentences)`: one picture of a data set in Karpathy's format, for JSON."""
    both, three = ["A red kite, high above the sea!", "Two dogs."], ["A hill.", "It is GREEN; no tree...", "A hill."]
    for given in (("beach.jpg", 7, "test", both), ("2/hill.png", 12, "train", three)):
        _check_entry(yours(*given), *given)
    print("an entry: right, it can be read as a data set")


def _check_entry(found: Any, filename: str, image_id: int, split: str, sentences: list[str]) -> None:
    _agree(isinstance(found, dict), f"an entry is a dictionary, got {type(found).__name__}")
    for key in ("filename", "imgid", "split", "sentences"):
        _agree(key in found, f"the key {key!r} is missing; there are {', '.join(map(repr, found))}")
    number = found["imgid"]
    _agree(type(number) is int and number == image_id, f"imgid must be the number {image_id}, got {number!r}")
    _agree((found["filename"], found["split"]) == (filename, split), "filename and split must be those given")
    said = found["sentences"]
    every = isinstance(said, list) and len(said) == len(sentences)
    _agree(every, f"`sentences` must be a list of all {len(sentences)} sentences, got {said!r}")
    for sentence, one in zip(sentences, said, strict=True):
        _agree(isinstance(one, dict) and {"raw", "tokens"} <= set(one), "each sentence has `raw` and `tokens`")
        _agree(one["raw"] == sentence, "`raw` is the sentence exactly as it was written")
        tokens = one["tokens"]
        _agree(not isinstance(tokens, str), "`tokens` is a list of words, not a string")
        _agree(all(isinstance(token, str) for token in tokens), "each token is a string")
        _agree(all(token == token.lower() for token in tokens), "tokens are in lower case")
        _agree(list(tokens) == tokenise(sentence), f"tokens have no punctuation: {tokenise(sentence)}, got {tokens}")
    try:
        json.dumps(found)
    except TypeError as error:
        raise AssertionError(f"JSON cannot hold it: {error}") from None


@self_check
def check_upright(yours: Callable[[np.ndarray, int], np.ndarray]) -> None:
    """`yours(pixels, orientation)`: pixels [height, width, 3] turned as EXIF's orientation 1 to 8 says."""
    generator = np.random.default_rng(0)
    for orientation in range(1, 9):
        pixels = generator.integers(0, 256, (4, 5 + orientation, 3), dtype=np.uint8)
        note = Image.Exif()
        note[0x0112] = orientation
        stored = Image.fromarray(pixels)
        stored.getexif()[0x0112] = orientation
        wanted = np.asarray(ImageOps.exif_transpose(stored))
        found = yours(pixels, orientation)
        found = np.asarray(found)
        if np.array_equal(found, wanted):
            continue
        about = f"orientation {orientation}"
        _agree(found.ndim == 3, f"{about}: wanted pixels {wanted.shape}, got shape {found.shape}")
        if np.array_equal(found, pixels) and orientation > 1:
            raise AssertionError(f"{about}: nothing was turned")
        if np.array_equal(found, np.rot90(wanted, 2)):
            raise AssertionError(f"{about}: it stands on its head: turned to the wrong side")
        if np.array_equal(found, wanted[:, ::-1]) or np.array_equal(found, wanted[::-1]):
            raise AssertionError(f"{about}: one mirror too many, or too few; 2, 4, 5 and 7 are seen in a mirror")
        if found.shape == wanted.transpose(1, 0, 2).shape and found.shape != wanted.shape:
            raise AssertionError(f"{about}: width and height are exchanged; 5 to 8 lie on their side, 1 to 4 do not")
        raise AssertionError(f"{about}: not as it was meant; draw the first row of pixels on paper and turn it")
    print("upright: right, all eight ways to hold a camera")


def _mean(difference: np.ndarray) -> np.ndarray:
    return np.abs(difference).mean(-1)


@self_check
def check_leaks(yours: Callable[[np.ndarray, np.ndarray], Sequence[Any]]) -> None:
    """`yours(train, test)`: pairs (training, test) of fingerprints [n, d] that differ by at most 4 on average."""
    generator = np.random.default_rng(1)
    for n, size in ((6, 64), (9, 30)):
        train, test = (generator.integers(20, 230, (count, size)).astype(np.float64) for count in (n, 5))
        uneven = generator.choice([-1.9, -0.1, 0.1, 1.9], size)  # some numbers differ much, some hardly; on average
        uneven /= np.abs(uneven).mean()  # by 1
        test[3] = train[2]
        test[1] = train[n - 1] + 3.9 * uneven  # another file format: still a suspect
        test[0] = train[0] + 4.2 * uneven  # no more
        test[2] = np.roll(train[4], 1)  # as bright, and something else
        test[4] = train[3] + 4 * generator.choice([-1, 1], size)  # just near enough
        difference = train[:, None] - test

        def pairs(where: np.ndarray) -> set[tuple[int, ...]]:
            return set(map(tuple, np.argwhere(where).tolist()))

        found = {tuple(int(number) for number in pair) for pair in yours(train, test)}
        wanted = pairs(_mean(difference) <= 4)
        if found == wanted:
            continue
        for mistake, hint in (
            ({pair[::-1] for pair in wanted}, "the order is (training, test)"),
            (set(), "no suspect at all: compare every training picture with every test picture"),
            (pairs(np.abs(difference.mean(-1)) <= 4), "you averaged before you compared: compare number by number"),
            (pairs(difference.mean(-1) <= 4), "a difference counts without its sign"),
            (
                pairs((difference**2).mean(-1) <= 16),
                "some numbers may differ by more: what counts is the mean of all, neither the largest nor the squares",
            ),
            (pairs(_mean(difference) < 4), "at most 4: a pair that differs by exactly 4 is a suspect"),
        ):
            _agree(found != mistake, hint)
        for pair in sorted(wanted - found):
            raise AssertionError(f"a pair is missing: {pair} differs by {_mean(difference[pair]):.3g} on average")
        pair = min(found - wanted)
        raise AssertionError(f"a pair too many: {pair} differs by {_mean(difference[pair]):.3g} on average")
    print("leaks: right, every copy and nothing else")
