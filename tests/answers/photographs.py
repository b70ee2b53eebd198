"""The self-checks of chapter 15: what is right passes in two ways, usual mistakes get their hint."""

import re

import numpy as np
from PIL import Image, ImageOps

from vsa_lite.data.records import tokenise


def entry(filename, number, split, sentences):
    said = [{"raw": text, "tokens": tokenise(text)} for text in sentences]
    return {"filename": filename, "imgid": number, "split": split, "sentences": said}


def entry_with_more(filename, number, split, sentences):
    words = (re.sub(r"[^a-z ]", "", text.lower()).split() for text in sentences)
    said = [{"raw": text, "tokens": tuple(w), "sentid": n} for n, (text, w) in enumerate(zip(sentences, words))]  # noqa: B905
    return {"sentences": said, "imgid": number, "filename": filename, "split": split, "sentids": [0, 1]}


def changed(**changes):
    return lambda *given: entry(*given) | changes


def sentences_with(**changes):
    def wrong(filename, number, split, sentences):
        made = entry(filename, number, split, sentences)
        for one in made["sentences"]:
            one.update({key: change(one["raw"]) for key, change in changes.items()})
        return made

    return wrong


def pillows(pixels, orientation):
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    return np.asarray(ImageOps.exif_transpose(image))


def by_transposing(pixels, orientation):
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    flips = {1: (1, 1), 2: (1, -1), 3: (-1, -1), 4: (-1, 1), 5: (1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}
    rows, columns = flips[orientation]
    return pixels[::rows, ::columns]


def turning(quarters):
    return lambda pixels, orientation: np.rot90(pixels, quarters.get(orientation, 0))


def leaks(train, test, most=4):
    return np.argwhere(np.abs(train[:, None] - test).mean(-1) <= most)


def leaks_one_by_one(train, test):
    return [(i, j) for i, a in enumerate(train) for j, b in enumerate(test) if sum(abs(a - b)) <= 4 * len(a)]


def means_compared(train, test):
    return np.argwhere(np.abs(train.mean(1)[:, None] - test.mean(1)) <= 4)


RIGHT = {
    "check_entry": (entry, entry_with_more),
    "check_upright": (pillows, by_transposing),
    "check_leaks": (leaks, leaks_one_by_one),
}
WRONG = [
    ("check_entry", lambda *given: None, "is there a `return`?"),
    ("check_entry", lambda *given: list(entry(*given).items()), "an entry is a dictionary"),
    ("check_entry", lambda f, n, s, texts: {"filename": f, "id": n, "split": s, "sentences": []}, "'imgid' is missing"),
    ("check_entry", changed(imgid="7"), "imgid must be the number 7"),
    ("check_entry", changed(split="train"), "must be those given"),
    ("check_entry", changed(split="test"), "must be those given"),
    ("check_entry", changed(filename="beach.jpg"), "must be those given"),
    ("check_entry", changed(imgid=7), "imgid must be the number 12"),
    ("check_entry", sentences_with(tokens=lambda raw: [1, 2]), "each token is a string"),
    ("check_entry", changed(sentences=["A red kite"]), "list of all 2 sentences"),
    ("check_entry", lambda f, n, s, texts: entry(f, n, s, texts[:2]), "list of all 3 sentences"),
    ("check_entry", sentences_with(tokens=lambda raw: raw.lower()), "a list of words"),
    ("check_entry", sentences_with(tokens=str.split), "in lower case"),
    ("check_entry", sentences_with(tokens=lambda raw: raw.lower().split()), "no punctuation"),
    ("check_entry", sentences_with(raw=str.lower), "exactly as it was written"),
    ("check_upright", lambda pixels, orientation: pixels, "nothing was turned"),
    ("check_upright", turning({3: 2, 6: 3, 8: 1}), "nothing was turned"),
    ("check_upright", lambda p, o: pillows(p, {6: 8, 8: 6}.get(o, o)), "turned to the wrong side"),
    ("check_upright", lambda p, o: pillows(p, {2: 4}.get(o, o)), "it stands on its head"),
    ("check_upright", lambda p, o: pillows(p, {5: 6, 7: 8}.get(o, o)), "one mirror too many"),
    ("check_upright", lambda p, o: pillows(p, {5: 4}.get(o, o)), "width and height are exchanged"),
    ("check_upright", lambda p, o: pillows(p, o).mean(-1), "got shape"),
    ("check_leaks", lambda train, test: leaks(train, test)[:, ::-1], "the order is"),
    ("check_leaks", lambda train, test: leaks(train, test, 0), "a pair is missing"),
    ("check_leaks", lambda train, test: leaks(train, test, 7), "a pair too many"),
    ("check_leaks", lambda train, test: leaks(train, test, 3.5), "a pair is missing"),
    ("check_leaks", lambda train, test: leaks(train, test, 4.5), "a pair too many"),
    ("check_leaks", lambda a, b: np.argwhere(np.abs(a[:, None] - b).mean(-1) < 4), "exactly 4 is a suspect"),
    ("check_leaks", lambda a, b: np.argwhere((a[:, None] - b).mean(-1) <= 4), "without its sign"),
    ("check_leaks", lambda train, test: 3, "cannot be compared"),
    ("check_leaks", lambda a, b: np.argwhere(np.abs(a[:, None] - b).max(-1) <= 4), "the mean of all"),
    ("check_leaks", lambda a, b: np.argwhere(((a[:, None] - b) ** 2).mean(-1) <= 16), "the mean of all"),
    ("check_leaks", means_compared, "compare number by number"),
    ("check_leaks", lambda train, test: [pair for pair in leaks(train, test) if len(train) == 6], "no suspect at all"),
    ("check_leaks", lambda train, test: [(i, i) for i in range(5) if (train[i] == test[i]).all()], "no suspect at all"),
    ("check_leaks", lambda train, test: leaks(train, test, 640), "a pair too many"),
]
