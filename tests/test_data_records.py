"""The record type: tokens, splits, ids."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vsa_lite.data.images import PictureError
from vsa_lite.data.records import Dataset, Record, Sentence, tokenise


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("A black dog is running .", ["a", "black", "dog", "is", "running"]),
        ("A man's T-shirt , and 2 dogs!", ["a", "mans", "tshirt", "and", "2", "dogs"]),
        ("  two\tdogs\n run ", ["two", "dogs", "run"]),
        ('snake_case "quotes" (brackets)', ["snakecase", "quotes", "brackets"]),
        ("Ein Café, 两只狗", ["ein", "café", "两只狗"]),
        ("", []),
        (" . , ! - _ ", []),
    ],
)
def test_tokenise(text, tokens):
    assert tokenise(text) == tokens


@given(st.text())
def test_tokens_are_words_and_tokenising_them_again_changes_nothing(text):
    tokens = tokenise(text)
    assert all(token and not token.isspace() and "_" not in token for token in tokens)
    assert tokenise(" ".join(tokens)) == tokens


class Square:
    def draw(self):
        return Image.new("RGB", (8, 8), "red")


def record(image_id, split="train", picture=None):
    return Record(image_id, f"{image_id}.jpg", picture or Square(), split, (Sentence("A dog", ("a", "dog")),))


def test_records_keep_their_order_and_are_found_by_id():
    dataset = Dataset("tiny", [record(5), record(2, "val"), record(9)])
    assert len(dataset) == 3
    assert [r.image_id for r in dataset] == [5, 2, 9]
    assert dataset[1].image_id == dataset.by_id(2).image_id == 2
    assert repr(dataset) == "Dataset('tiny': train 2, val 1, test 0)"
    with pytest.raises(KeyError, match="tiny has no image id 3"):
        dataset.by_id(3)


def test_splits_are_parts_and_unknown_or_empty_ones_are_refused():
    dataset = Dataset("tiny", [record(5), record(2, "val"), record(9)])
    assert [r.image_id for r in dataset.split("train")] == [5, 9]
    assert dataset.split("train").name == "tiny"
    with pytest.raises(ValueError, match="split must be one of train, val, test, got 'restval'"):
        dataset.split("restval")
    with pytest.raises(ValueError, match="tiny has no record in the split 'test'"):
        dataset.split("test")


def test_repeated_image_ids_are_refused():
    with pytest.raises(ValueError, match="tiny: image ids must be unique, got 2 repeated"):
        Dataset("tiny", [record(1), record(1), record(1)])


def test_a_picture_is_drawn_or_opened(tmp_path):
    assert record(1).image().getpixel((0, 0)) == (255, 0, 0)
    Image.new("L", (3, 2), 7).save(tmp_path / "a.png")
    assert record(1, picture=tmp_path / "a.png").image().getpixel((0, 0)) == (7, 7, 7)
    with pytest.raises(PictureError, match=r"no picture at .*b\.png"):
        record(1, picture=tmp_path / "b.png").image()


def test_importing_the_room_stays_light():
    code = (
        "import sys, vsa_lite.data.karpathy, vsa_lite.data.coco, vsa_lite.data.downloads; "
        "print([m for m in ('torch', 'matplotlib', 'requests', 'pycocotools') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
