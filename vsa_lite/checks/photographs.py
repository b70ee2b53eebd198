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
    sentences = ["A red kite, high above the sea!", "Two dogs."]
    for given in (("beach.jpg", 7, "test"), ("2/hill.png", 12, "train")):
        _check_entry(yours(*given, sentences), *given, sentences)
    print("an entry: right, it can be read as a data set")


def _check_entry(found: Any, filename: str, image_id: int, split: str, sentences: list[str]) -> None:
    _agree(isinstance(found, dict), f"an entry is a dictionary, got {type(found).__name__}")
    for key in ("filename", "imgid", "split", "sentences"):
        _agree(key in found, f"the key {key!r} is missing; there are {', '.join(map(repr, found))}")
    number = found["imgid"]
    _agree(type(number) is int and number == image_id, f"imgid must be the number {image_id}, got {number!r}")
    _agree((found["filename"], found["split"]) == (filename, split), "filename and split must be those given")
    said = found["sentences"]
    both = isinstance(said, list) and len(said) == 2
    _agree(both, f"`sentences` must be a list of both sentences, got {said!r}")
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
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    for orientation in range(1, 9):
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


@self_check
def check_leaks(yours: Callable[[np.ndarray, np.ndarray], Sequence[Any]]) -> None:
    """`yours(train, test)`: pairs (training, test) of fingerprints [n, d] that differ by at most 4 on average."""
    generator = np.random.default_rng(1)
    train, test = (generator.integers(20, 230, (n, 64)).astype(np.float64) for n in (6, 5))
    uneven = generator.choice([-1.9, -0.1, 0.1, 1.9], 64)  # some numbers differ much, some hardly; on average
    uneven /= np.abs(uneven).mean()  # by 1
    test[3] = train[2]
    test[1] = train[5] + 3.9 * uneven  # another file format: still a suspect
    test[0] = train[0] + 4.2 * uneven  # no more
    test[2] = np.roll(train[4], 1)  # as bright, and something else
    test[4] = 255 - train[1]
    found = yours(train, test)
    pairs = {tuple(int(number) for number in pair) for pair in found}
    wanted = {(2, 3), (5, 1)}
    _agree((4, 2) not in pairs or len(pairs) == 30, "you averaged before you compared: compare number by number")
    if pairs != wanted:
        hints = {
            frozenset({(3, 2), (1, 5)}): "the order is (training, test)",
            frozenset({(2, 3)}): "a pair is missing that differs by 3.9: some of its numbers by more, "
            "but what counts is the mean of all, at most 4",
            frozenset(wanted | {(0, 0)}): "4.2 on average is too much: at most 4, each difference without its sign",
            frozenset(): "no suspect at all: compare every training picture with every test picture",
        }
        raise AssertionError(hints.get(frozenset(pairs), f"wanted the pairs {sorted(wanted)}, got {sorted(pairs)}"))
    print("leaks: right, both copies and nothing else")
