"""What all tests share: the shapes in signatures are checked while they run; a tiny data set, a tiny backbone."""

from __future__ import annotations

from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import jaxtyping
import numpy as np
import pytest
import torch
from beartype import beartype
from PIL import Image
from torch import nn


def check_shapes(function):
    """Check the jaxtyping shapes of a call, and nothing else, once it has returned.

    jaxtyping gives every function twice: with its result's annotation replaced by Any, to be checked before the call,
    and whole, to be checked behind it with the arguments again. Only the second is checked, so that bad input meets the
    package's own error first, as it does outside the tests; a wrong shape that goes through fails here.
    """
    if function.__annotations__.get("return") is Any:
        return function
    shapes = {name: hint if _has_shape(hint) else Any for name, hint in function.__annotations__.items()}
    if set(shapes.values()) == {Any}:
        return function
    function.__annotations__ = shapes
    return beartype(function)


def _has_shape(hint) -> bool:
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    parts = [part for part in get_args(hint) if part is not type(None)]
    if get_origin(hint) in (Union, UnionType):  # an array, or something else that cannot be told by its shape
        return all(map(_has_shape, parts))
    return any(map(_has_shape, parts))


# before any module of the package is imported; its name is how jaxtyping finds the checker again
jaxtyping.install_import_hook("vsa_lite", "conftest.check_shapes")

SENTENCES = (
    ("a red ball on green grass", "the ball is red"),
    ("a black dog runs", "the dog runs on grass"),
    ("two men stand near a wall", "men near a wall"),
    ("a small boat on blue water", "the boat is small"),
    ("a yellow bus in the street", "the bus stands in the street"),
    ("a white cat sleeps", "the cat sleeps near a wall"),
)


def make_dataset(folder: Path):
    """Six pictures of noise, 10 to 15 by their ids, two sentences each: four to train on, one val, one test."""
    from vsa_lite.data.records import Dataset, Record, Sentence, tokenise

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    records = []
    for number, raw in enumerate(SENTENCES):
        path = folder / f"{number}.png"
        Image.fromarray(rng.integers(0, 256, (30 + number, 40, 3), dtype=np.uint8)).save(path)
        sentences = tuple(Sentence(text, tuple(tokenise(text))) for text in raw)
        split = {4: "val", 5: "test"}.get(number, "train")
        records.append(Record(10 + number, path.name, path, split, sentences))
    return Dataset("six pictures", records)


class TinyNetwork(nn.Module):
    """Laid out as torchvision's classifiers are: features, a pool, and layers that end in the classifier."""

    def __init__(self, d: int = 12) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU()),
            nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU()),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(3)
        self.classifier = nn.Sequential(nn.Linear(8 * 3 * 3, d), nn.ReLU(), nn.Dropout(), nn.Linear(d, 5))

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def seeded(make, seed: int = 0):
    """What `make()` makes from this seed, with the caller's random numbers left alone; batch norms have seen data."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = make()
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.2)
                part.running_var.uniform_(0.5, 1.5)
                part.weight.data.uniform_(0.5, 1.5)
                part.bias.data.normal_(0, 0.2)
    return module.eval()


def make_backbone(seed: int = 0):
    """A random backbone for pictures of 32 pixels, with features of size 12."""
    from vsa_lite.regions.backbones import Backbone, Transform

    return Backbone(seeded(TinyNetwork, seed), Transform(32), f"tiny{seed}")


def four_regions(record, image):
    """The whole picture and two quarters; the fourth region is padding."""
    boxes = torch.tensor([[0, 0, 1, 1], [0, 0, 0.5, 0.5], [0.5, 0.25, 1, 1], [0, 0, 0, 0]])
    return boxes, torch.tensor([True, True, True, False])


@pytest.fixture
def dataset(tmp_path):
    return make_dataset(tmp_path / "pictures")


@pytest.fixture
def backbone():
    return make_backbone()


@pytest.fixture
def store(tmp_path, dataset, backbone):
    """A finished store of the six pictures: 4 regions (one of them padding), d 12."""
    from vsa_lite.regions.features import extract_features

    return extract_features(
        dataset, backbone, four_regions, tmp_path / "store", count=4, size=64, batch_size=2, progress=False
    )
