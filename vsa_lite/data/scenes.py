"""Scenes: a paper-cut world whose truth is known, drawn at run time from a seed. No file, no download.

Twenty-one kinds of thing in eleven colours and two sizes sit, stand, lean, ride and fly in a park, at a beach, in a
room and in a street, two to five to a picture. Five sentences a picture say a little of what is there, as people do:
with synonyms, mostly without colours, and with most things left out. Each thing's box and the things that each phrase
stands for are known, so that an alignment can be measured.

The workshop behind it: `scenes_paper` (shapes and shadows); `scenes_animals`, `scenes_people`, `scenes_things`,
`scenes_settings` (patterns); `scenes_layout` (who stands where); `scenes_drawing` (how it looks); `scenes_words` and
`scenes_sentences` (what is said).
"""

from __future__ import annotations

import numpy as np

from vsa_lite.data.records import SPLITS, Dataset, Record
from vsa_lite.data.scenes_drawing import Drawing, Thing
from vsa_lite.data.scenes_layout import lay_out
from vsa_lite.data.scenes_paper import COLOURS
from vsa_lite.data.scenes_sentences import say
from vsa_lite.data.scenes_settings import GROUND, WEATHERS
from vsa_lite.data.scenes_things import KINDS, SETTINGS, pattern

__all__ = ["COLOURS", "LABELS", "SETTINGS", "Drawing", "make_scenes", "make_single_things"]

LABELS = tuple(KINDS)  # the kinds of thing, in a fixed order: a label's index is its class
IDS_PER_SPLIT = 10_000_000


def make_scenes(train: int = 2000, val: int = 250, test: int = 250, seed: int = 0) -> Dataset:
    """Pictures of several things, each with five sentences, all boxes, and what every phrase stands for.

    Picture i of a split depends on (seed, split, i) alone: asking for more pictures adds some and changes none.
    Pictures are 224 x 224 and drawn by `record.image()`, each time anew; equal drawings give equal pixels.

    `record.boxes` are tight around what can be seen of each thing; `record.labels` are from `LABELS`. A phrase is a
    noun with its article, size and colour ("a small black dog", "two dogs"). Its boxes are all the things that it may
    stand for: with two dogs in the picture, "the dog" is both, unless the sentence tells which one: by its colour or
    size, by what it does or where it is ("sitting", "in the sky", "far away"), or by what it is on, under, in, riding,
    holding or leaning against. What is left or right of, next to, in front of, behind or above something is only said
    where it is true of all that the words fit. Words for the setting ("in the park", "on the grass") name no thing and
    are not phrases.

    Args:
        train, val, test: number of pictures of each split; a split with none is left out.
        seed: 0 or more.

    Returns:
        A data set named "scenes".

    Raises:
        TypeError: for a count or a seed that is not a whole number.
        ValueError: for one that is negative, or more than 10,000,000 pictures a split.
    """
    counts = dict(zip(SPLITS, (train, val, test), strict=True))
    for name, value in {**counts, "seed": seed}.items():
        _whole_number(name, value)
    return Dataset("scenes", [_scene(seed, split, i) for split, count in counts.items() for i in range(count)])


def _scene(seed: int, split: str, i: int) -> Record:
    number = SPLITS.index(split)
    drawing = lay_out(np.random.default_rng([seed, number, i, 0]))
    sentences = say(drawing, np.random.default_rng([seed, number, i, 1]))
    labels = tuple(thing.kind for thing in drawing.things)
    return Record(number * IDS_PER_SPLIT + i, f"{split}-{i:05d}", drawing, split, sentences, drawing.boxes, labels)


def make_single_things(count: int, seed: int = 0, start: int = 0) -> list[tuple[Drawing, str]]:
    """Pictures of one thing each, with its kind: what a CNN is pretrained on, in the place of ImageNet.

    Setting, weather, colour, pose, place and size vary. Picture i depends on (seed, i) alone, so that
    `make_single_things(1000)` and `make_single_things(200, start=1000)` are disjoint: training and validation.

    Args:
        count: number of pictures, from picture `start` on.
        seed: 0 or more.
        start: number of the first picture.

    Returns:
        (drawing, label) pairs: `drawing.draw()` is the picture, `drawing.boxes[0]` the thing's box, the label one of
        `LABELS`.

    Raises:
        TypeError, ValueError: as `make_scenes`.
    """
    for name, value in {"count": count, "seed": seed, "start": start}.items():
        _whole_number(name, value)
    return [_single_thing(np.random.default_rng([seed, len(SPLITS), i])) for i in range(start, start + count)]


def _single_thing(rng: np.random.Generator) -> tuple[Drawing, str]:
    kind = LABELS[int(rng.integers(len(LABELS)))]
    poses = (*KINDS[kind].poses, "flying") if kind == "bird" else KINDS[kind].poses
    colours = KINDS[kind].colours
    pose, colour = poses[int(rng.integers(len(poses)))], colours[int(rng.integers(len(colours)))]
    x0, y0, x1, y1 = pattern(kind, pose).extent
    height = float(rng.uniform(0.35, 0.9)) / max(x1 - x0, y1 - y0)
    half, tall = max(-x0, x1) * height, y1 * height
    x = float(rng.uniform(min(half, 0.5), max(1 - half, 0.5)))
    setting, weather = SETTINGS[int(rng.integers(len(SETTINGS)))], WEATHERS[int(rng.integers(len(WEATHERS)))]
    flying = pose == "flying" or kind in ("balloon", "kite")
    y = float(rng.uniform(min(max(tall, 0 if flying else GROUND[setting][0]) + 0.03, 0.97), 0.98))
    thing = Thing(
        kind,
        colour,
        pose,
        "big",
        x,
        y,
        height,
        bool(rng.random() < 0.5),
        float(rng.normal(0, 4)),
        "sky" if flying else "ground",
        shade=float(rng.uniform(-1, 1)),
        variant=int(rng.integers(16)),
    )
    return Drawing(setting, weather, int(rng.integers(2**31)), (thing,)), kind


def _whole_number(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < 0:
        raise ValueError(f"{name} must be 0 or more, got {value}")
    if name != "seed" and value > IDS_PER_SPLIT:
        raise ValueError(f"{name} must be at most {IDS_PER_SPLIT:,}, got {value:,}")
