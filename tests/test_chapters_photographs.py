"""Chapter 15: its data set is one that the package reads, its pictures stand upright as Pillow's do."""

import json
from pathlib import Path

import numpy as np
import pytest
from answers.photographs import pillows
from PIL import Image
from test_chapters import definitions

from vsa_lite.data.karpathy import load_karpathy

CHAPTER = Path(__file__).resolve().parents[1] / "notebooks" / "15_real_photographs.ipynb"


def lift(*names):
    """Functions of the chapter; they find NumPy and Pillow as in their page."""
    space = definitions(CHAPTER, *names)
    space |= {"np": np, "Image": Image}
    return [space[name] for name in names]


def test_an_entry_is_read_by_the_package(tmp_path):
    (entry,) = lift("entry")
    Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
    made = {"images": [entry("a.png", 3, "val", ["Two dogs, running!", "Snow."])]}
    (tmp_path / "d.json").write_text(json.dumps(made))
    (record,) = load_karpathy(tmp_path / "d.json", tmp_path, check_images=True)
    assert (record.image_id, record.split, record.name) == (3, "val", "a.png")
    assert [sentence.tokens for sentence in record.sentences] == [("two", "dogs", "running"), ("snow",)]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_is_pillows(orientation):
    (upright,) = lift("upright")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(upright(pixels, orientation), pillows(pixels, orientation))


def test_a_lying_picture_is_stored_so_that_it_comes_back(tmp_path):
    (lying,) = lift("lying")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8))
    turned, note = lying(image)
    turned.save(tmp_path / "a.png", exif=note)
    from vsa_lite.data.images import open_image

    assert np.array_equal(np.asarray(open_image(tmp_path / "a.png")), np.asarray(image))
    assert turned.size == image.size[::-1]


def test_a_copy_of_another_size_is_suspected_and_another_picture_is_not():
    fingerprint, leaks = lift("fingerprint", "leaks")
    random = np.random.default_rng(2)
    images = [Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((80, 80)) for _ in range(3)]
    prints = np.stack([fingerprint(image) for image in images])
    copy = fingerprint(images[1].resize((40, 40)))[None]
    assert leaks(prints, copy) == [(1, 0)]
    assert leaks(prints[:1], prints[2:]) == []


def test_shares_count_sentences_not_words():
    (share_of,) = lift("share_of")
    assert share_of({"man", "men"}, [("a", "man", "and", "a", "man"), ("a", "dog"), ("men",), ("woman",)]) == 50.0
