"""COCO's files read as records, and nouns linked to the boxes that they name."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vsa_lite.data.coco import find_nouns, link_category_nouns, load_coco, phrase_counts
from vsa_lite.data.coco_nouns import noun_table
from vsa_lite.data.records import Dataset, Record, Sentence, tokenise

DATA = os.environ.get("VSA_LITE_DATA")


def thing(number, image_id, category_id, bbox, iscrowd=0):
    segmentation = [[bbox[0], bbox[1], bbox[0] + bbox[2], bbox[1], bbox[0], bbox[1] + bbox[3]]]
    return {
        "id": number,
        "image_id": image_id,
        "category_id": category_id,
        "bbox": bbox,
        "iscrowd": iscrowd,
        "area": bbox[2] * bbox[3],
        "segmentation": segmentation,
    }


@pytest.fixture
def files(tmp_path):
    """Three pictures: two dogs and a crowd of people; nothing in it; no sentence."""
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 200, "height": 100} for i in (42, 7, 8)]
    categories = [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}]
    instances = [
        thing(1, 42, 18, [20, 10, 100, 50]),
        thing(2, 42, 1, [0, 0, 200, 100], iscrowd=1),
        thing(3, 42, 18, [150, 50, 60, 60]),  # over the edge
    ]
    captions = [
        {"id": 1, "image_id": 42, "caption": "Two dogs, and people. "},
        {"id": 2, "image_id": 42, "caption": "..."},
        {"id": 3, "image_id": 7, "caption": "An empty street"},
    ]
    folder = tmp_path / "pictures"
    folder.mkdir()
    for image in images:
        Image.new("RGB", (200, 100)).save(folder / image["file_name"])
    paths = tmp_path / "instances.json", tmp_path / "captions.json", folder
    paths[0].write_text(json.dumps({"images": images, "annotations": instances, "categories": categories}))
    paths[1].write_text(json.dumps({"images": images, "annotations": captions}))
    return paths


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.filterwarnings("ignore:skipped")
def test_boxes_are_shares_and_crowds_are_dropped(files, capsys):
    dataset = load_coco(*files, split="test")
    assert [r.image_id for r in dataset] == [7, 42]
    street, dogs = dataset
    assert dogs.labels == ("dog", "dog")
    assert dogs.boxes.dtype == np.float32
    np.testing.assert_allclose(dogs.boxes, [[0.1, 0.1, 0.6, 0.6], [0.75, 0.5, 1, 1]], rtol=1e-6)
    assert street.boxes.shape == (0, 4)
    assert [s.tokens for s in dogs.sentences] == [("two", "dogs", "and", "people")]
    assert dogs.sentences[0].raw == "Two dogs, and people."
    assert {r.split for r in dataset} == {"test"}
    assert dogs.image().size == (200, 100)
    assert capsys.readouterr().out == ""


def test_what_is_skipped_is_counted_and_named(files):
    edit(files[0], lambda c: c["annotations"].append(thing(9, 7, 18, [5, 5, 0, 10])))
    with pytest.warns(UserWarning, match="skipped") as caught:
        dataset = load_coco(*files)
    assert [str(w.message) for w in caught] == [
        "skipped 1 pictures without a sentence: 8.jpg",
        "skipped 1 boxes without an area: dog in 7.jpg",
    ]
    assert dataset.by_id(7).labels == ()


@pytest.mark.filterwarnings("ignore:skipped")
def test_unreadable_pictures_can_be_left_out(files):
    (files[2] / "7.jpg").write_bytes(b"")
    assert len(load_coco(*files)) == 2
    with pytest.warns(UserWarning, match=r"skipped 1 pictures that cannot be read: .*7\.jpg"):
        assert [r.image_id for r in load_coco(*files, check_images=True)] == [42]


@pytest.mark.parametrize(
    ("which", "change", "message"),
    [
        (0, lambda c: c.pop("images"), r"instances\.json is not a COCO annotation file"),
        (0, lambda c: c.pop("annotations"), r"instances\.json is not a COCO annotation file"),
        (0, lambda c: c["annotations"][0].pop("bbox"), r"instances\.json: annotation 0 has no 'bbox'"),
        (0, lambda c: c["images"][1].pop("width"), r"instances\.json: image 1 has no 'width'"),
        (0, lambda c: c["annotations"][0].update(category_id=77), r"42\.jpg has unknown category ids \[77\]"),
        (0, lambda c: c["annotations"][0].update(bbox=[1, 2, 3]), r"42\.jpg.*four numbers"),
        (0, lambda c: c["images"][0].update(width=0), r"42\.jpg.*width and height must be above 0"),
        (1, lambda c: c["annotations"][0].pop("caption"), r"captions\.json: annotation 0 has no 'caption'"),
        (1, lambda c: [a.update(image_id=1) for a in c["annotations"]], "no picture with a sentence in common"),
    ],
)
def test_what_is_not_the_format_is_named(files, which, change, message):
    edit(files[which], change)
    with pytest.raises(ValueError, match=message):
        load_coco(*files)


def test_files_in_each_others_place_are_refused(files):
    with pytest.raises(ValueError, match=r"captions\.json: annotation 0 has no 'category_id', 'bbox'"):
        load_coco(files[1], files[0], files[2])


@pytest.mark.filterwarnings("ignore:skipped")
def test_missing_things_are_named(files, tmp_path):
    with pytest.raises(ValueError, match="split must be one of train, val, test, got 'val2017'"):
        load_coco(*files, split="val2017")
    with pytest.raises(FileNotFoundError, match=r"no COCO annotation file at .*none\.json"):
        load_coco(tmp_path / "none.json", *files[1:])
    with pytest.raises(FileNotFoundError, match=r"no picture folder at .*none"):
        load_coco(*files[:2], tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"none of the 2 pictures, such as 7\.jpg, is in .*empty"):
        load_coco(*files[:2], tmp_path / "empty")
    (tmp_path / "text.json").write_text("a dog")
    with pytest.raises(ValueError, match=r"text\.json is not a COCO annotation file"):
        load_coco(tmp_path / "text.json", *files[1:])


def linked(text, labels):
    """The phrases of a sentence beside one box for each label, as (words, labels of the boxes)."""
    boxes = np.tile(np.array([0, 0, 1, 1], dtype=np.float32), (len(labels), 1))
    sentence = Sentence(text, tuple(tokenise(text)))
    record = Record(1, "1.jpg", Path("1.jpg"), "val", (sentence,), boxes, tuple(labels))
    (sentence,) = link_category_nouns(Dataset("tiny", [record]))[0].sentences
    return [(" ".join(sentence.tokens[p.start : p.stop]), p.boxes) for p in sentence.phrases]


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("Two dogs on a couch.", ["dog", "couch", "dog"], [("dogs", (0, 2)), ("couch", (1,))]),
        ("A puppy on the sofa", ["dog", "couch"], [("puppy", (0,)), ("sofa", (1,))]),
        ("Puppies and kitties", ["dog", "cat"], [("puppies", (0,)), ("kitties", (1,))]),
        ("A boy, two men and some people", ["person"], [("boy", (0,)), ("men", (0,)), ("people", (0,))]),
        ("a man eating a hot dog", ["person", "hot dog", "dog"], [("man", (0,)), ("hot dog", (1,))]),
        ("a hot dog", ["dog"], []),
        ("a girl hugs a teddy bear", ["person", "teddy bear"], [("girl", (0,)), ("teddy bear", (1,))]),
        ("a teddy bear", ["bear"], []),
        ("a polar bear", ["bear"], [("polar bear", (0,))]),
        ("the baseball bat of a baseball player", ["baseball bat", "person"], [("baseball bat", 0), ("player", 1)]),
        ("a baseball game", ["sports ball"], []),
        ("a train at the train station", ["train"], [("train", (0,))]),
        ("a baby elephant and a baby", ["person", "elephant"], [("baby elephant", (1,)), ("baby", (0,))]),
        ("a pit bull dog beside a bull", ["dog", "cow"], [("pit bull dog", (0,)), ("bull", (1,))]),
        ("yellow and orange fruit", ["orange"], []),
        ("oranges and knives in glasses", ["orange", "knife"], [("oranges", (0,)), ("knives", (1,))]),
        ("a wine glass and a glass of wine", ["wine glass"], [("wine glass", (0,)), ("glass of wine", (0,))]),
        ("a couple of cars, a couple skiers", ["car", "person"], [("cars", (0,)), ("skiers", (1,))]),
        ("a bike", ["bicycle"], [("bike", (0,))]),
        ("a bike", ["motorcycle"], [("bike", (0,))]),
        ("a bike", ["motorcycle", "bicycle"], []),
        ("riding his board", ["person", "skateboard"], [("board", (1,))]),
        ("sheep and a giraffe", ["sheep", "giraffe", "sheep"], [("sheep", (0, 2)), ("giraffe", (1,))]),
        ("a flower bed, the bed of a truck", ["bed", "truck"], [("truck", (1,))]),
        ("a dog", [], []),
        ("a dog", ["cat"], []),
    ],
)
def test_nouns_link_to_all_boxes_of_their_category(text, labels, expected):
    # a bare number stands for one box and for any longer noun phrase that ends in the same words
    found = linked(text, labels)
    assert len(found) == len(expected)
    for (words, boxes), (wanted, wanted_boxes) in zip(found, expected, strict=True):
        if isinstance(wanted_boxes, int):
            assert (words.endswith(wanted), boxes) == (True, (wanted_boxes,))
        else:
            assert (words, boxes) == (wanted, wanted_boxes)


def test_a_record_without_boxes_stays_as_it_is():
    record = Record(1, "1.jpg", Path("1.jpg"), "val", (Sentence("A dog", ("a", "dog")),))
    assert link_category_nouns(Dataset("tiny", [record]))[0] is record


def test_the_table_is_well_formed():
    table = noun_table()
    words = {word for phrase in table for word in phrase}
    assert all(word == "".join(tokenise(word)) for word in words), "every word must be what the tokeniser makes"
    assert len(set().union(*table.values())) == 80
    ambiguous = {" ".join(phrase) for phrase, categories in table.items() if len(categories) > 1}
    assert ambiguous == {form for noun in ("bike", "van", "board", "computer") for form in (noun, f"{noun}s")}


def test_the_longest_phrase_wins_and_phrases_never_overlap():
    table = noun_table()
    found = find_nouns(tokenise("a pick up truck bed with a computer mouse pad and a stop sign"), table)
    assert [(start, stop, sorted(c)) for start, stop, c in found] == [
        (1, 4, ["truck"]),
        (4, 5, ["bed"]),
        (7, 10, []),
        (12, 14, ["stop sign"]),
    ]


@pytest.mark.skipif(not DATA, reason="VSA_LITE_DATA is not set: no photographs here")
def test_the_real_photographs():
    root = Path(DATA) / "coco"
    annotations = root / "annotations"
    dataset = load_coco(annotations / "instances_val2017.json", annotations / "captions_val2017.json", root / "val2017")
    assert len(dataset) == 79
    assert sum(len(r.labels) for r in dataset) == 619, "624 boxes, of which 5 are crowds"
    assert sum(len(r.sentences) for r in dataset) == 395
    assert all(((r.boxes >= 0) & (r.boxes <= 1)).all() and (r.boxes[:, 2:] > r.boxes[:, :2]).all() for r in dataset)
    counts = phrase_counts(link_category_nouns(dataset))
    assert sum(counts.values()) > 500
    assert counts.most_common(1)[0][0] == "person"
    categories = set(
        json.loads((annotations / "instances_val2017.json").read_text())["categories"][i]["name"] for i in range(80)
    )
    assert set().union(*noun_table().values()) == categories
