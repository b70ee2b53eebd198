"""Karpathy's format: what is read, what is skipped with a word, what is refused by name."""

import json
import os
import warnings
from pathlib import Path

import pytest
from PIL import Image

from vsa_lite.data.karpathy import load_flickr8k, load_karpathy

DATA = os.environ.get("VSA_LITE_DATA")


def entry(number, split="train", sentences=("A dog runs .",), **more):
    return {
        "filename": f"{number}.jpg",
        "imgid": number,
        "split": split,
        "sentences": [{"raw": raw, "tokens": raw.lower().replace(" .", "").split()} for raw in sentences],
        **more,
    }


def write(folder, entries, dataset="tiny", pictures=True):
    folder.mkdir(exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps({"images": entries, "dataset": dataset}), encoding="utf-8")
    for item in entries if pictures else ():
        picture = folder / "images" / item.get("filepath", "") / item["filename"]
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), (item["imgid"], 0, 0)).save(picture, "PNG")
    return folder / "dataset.json", folder / "images"


def test_records_are_as_in_the_file(tmp_path):
    sentences = ("A dog runs .", "Two men, café")
    paths = write(tmp_path, [entry(7, "val", sentences), entry(3), entry(9, "test")])
    dataset = load_karpathy(*paths)
    assert dataset.name == "tiny"
    assert [(r.image_id, r.name, r.split) for r in dataset] == [
        (7, "7.jpg", "val"),
        (3, "3.jpg", "train"),
        (9, "9.jpg", "test"),
    ]
    assert [s.raw for s in dataset[0].sentences] == list(sentences)
    assert dataset[0].sentences[0].tokens == ("a", "dog", "runs")
    assert dataset[0].image().getpixel((0, 0)) == (7, 0, 0)
    assert dataset[0].boxes is None
    assert load_karpathy(*paths, name="other").name == "other"


def test_tokens_stand_as_they_are_and_raw_is_tokenised_only_without_them(tmp_path):
    item = entry(1)
    item["sentences"] = [
        {"raw": "It's a Dog !", "tokens": ["its", "A-dog"]},
        {"raw": "It's a Dog !"},
        {"raw": "It's a Dog !", "tokens": None},
        {"tokens": ["no", "raw"]},
    ]
    record = load_karpathy(*write(tmp_path, [item]))[0]
    assert [s.tokens for s in record.sentences] == [("its", "A-dog"), *[("its", "a", "dog")] * 2, ("no", "raw")]
    assert record.sentences[3].raw == "no raw"


def test_coco_restval_is_train_and_pictures_lie_in_sub_folders(tmp_path):
    entries = [entry(1, "restval", filepath="val2014", cocoid=99), entry(2, "train", filepath="train2014")]
    dataset = load_karpathy(*write(tmp_path, entries))
    assert [r.split for r in dataset] == ["train", "train"]
    assert dataset[0].picture == tmp_path / "images" / "val2014" / "1.jpg"
    assert dataset[0].image_id == 1
    assert dataset[0].image().size == (4, 3)


def test_empty_sentences_are_skipped_counted_and_named_once(tmp_path):
    entries = [entry(1, sentences=("A dog", " ", "")), entry(2, sentences=("",)), entry(3, sentences=()), entry(4)]
    with pytest.warns(UserWarning, match="skipped") as caught:
        dataset = load_karpathy(*write(tmp_path, entries))
    assert [r.image_id for r in dataset] == [1, 4]
    assert [s.raw for s in dataset[0].sentences] == ["A dog"]
    named = "1.jpg, sentence 1; 1.jpg, sentence 2; 2.jpg, sentence 0; and 1 more"
    assert [str(w.message) for w in caught] == [f"skipped 4 sentences without a word in dataset.json: {named}"]


def test_nothing_is_said_when_nothing_is_skipped(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_karpathy(*write(tmp_path, [entry(1)]), check_images=True)


def test_check_images_skips_counts_and_names_bad_pictures(tmp_path):
    paths = write(tmp_path, [entry(n) for n in range(1, 5)])
    (tmp_path / "images" / "2.jpg").write_bytes(b"")
    (tmp_path / "images" / "4.jpg").unlink()
    assert len(load_karpathy(*paths)) == 4
    walked = []
    with pytest.warns(UserWarning, match=r"skipped 2 pictures that cannot be read: .*2\.jpg.*4\.jpg"):
        dataset = load_karpathy(*paths, check_images=True, progress=lambda records: walked.extend(records) or records)
    assert [r.image_id for r in dataset] == [1, 3]
    assert len(walked) == 4
    for n in (1, 3):
        (tmp_path / "images" / f"{n}.jpg").write_text("no picture")
    with pytest.raises(ValueError, match=r"none of the 4 pictures can be read; the first: .*1\.jpg"):
        load_karpathy(*paths, check_images=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.pop("split"), r"picture 1: has no 'split'; its keys are 'filename', 'imgid', 'sentences'"),
        (lambda e: (e.pop("imgid"), e.pop("sentences")), "picture 1: has no 'imgid', 'sentences'"),
        (lambda e: e.update(split="dev"), r"5\.jpg: 'split' must be one of train, restval, val, test, got 'dev'"),
        (lambda e: e.update(split=["train"]), "'split' must be one of"),
        (lambda e: e.update(filename=3), "'filename' must be text, got 3"),
        (lambda e: e.update(imgid="5"), r"5\.jpg: 'imgid' must be a whole number, got '5'"),
        (lambda e: e.update(imgid=True), "'imgid' must be a whole number"),
        (lambda e: e.update(sentences="A dog"), r"5\.jpg: 'sentences' must be a list, got 'A dog'"),
        (lambda e: e.update(sentences=["A dog"]), r"5\.jpg: sentence 0 must have 'tokens' or 'raw', got 'A dog'"),
        (lambda e: e.update(sentences=[{"sentid": 1}]), r"sentence 0 must have 'tokens' or 'raw'"),
        (lambda e: e.update(sentences=[{"raw": 1}]), "'raw' must be text, got 1"),
        (lambda e: e.update(sentences=[{"tokens": "a dog"}]), "'tokens' must be a list of words, got 'a dog'"),
        (lambda e: e.update(sentences=[{"tokens": ["a", 2]}]), "'tokens' must be a list of words"),
        (lambda e: e.update(imgid=1), "image ids must be unique, got 1 repeated"),
    ],
)
def test_what_is_not_the_format_is_named(tmp_path, change, message):
    entries = [entry(1), entry(5)]
    paths = write(tmp_path, entries)
    change(entries[1])
    write(tmp_path, entries, pictures=False)
    with pytest.raises(ValueError, match=message):
        load_karpathy(*paths)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"images": {}}', '{"images": []}', "\ufeff[", "null"])
def test_other_json_is_refused_by_name(tmp_path, content):
    _, images = write(tmp_path, [entry(1)])
    (tmp_path / "other.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"other\.json is not"):
        load_karpathy(tmp_path / "other.json", images)
    (tmp_path / "binary.json").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ValueError, match=r"binary\.json is not a JSON file"):
        load_karpathy(tmp_path / "binary.json", images)


def test_an_entry_that_is_no_object_is_named(tmp_path):
    paths = write(tmp_path, [entry(1)])
    paths[0].write_text('{"images": ["1.jpg"]}')
    with pytest.raises(ValueError, match=r"picture 0: must be an object, got '1.jpg'"):
        load_karpathy(*paths)


def test_missing_files_and_folders_are_named(tmp_path):
    json_path, images = write(tmp_path, [entry(1)])
    with pytest.raises(FileNotFoundError, match=r"no data set file at .*none\.json"):
        load_karpathy(tmp_path / "none.json", images)
    with pytest.raises(FileNotFoundError, match=r"no picture folder at .*photographs"):
        load_karpathy(json_path, tmp_path / "photographs")
    (tmp_path / "wrong").mkdir()
    with pytest.raises(FileNotFoundError, match=r"none of the 1 pictures.*wrong; the first one should be .*1\.jpg"):
        load_karpathy(json_path, tmp_path / "wrong")


@pytest.mark.parametrize("json_name", ["dataset.json", "dataset_flickr8k.json"])
@pytest.mark.parametrize("folder", ["images", "Flicker8k_Dataset", "Flickr8k_Dataset"])
def test_flickr8k_by_its_usual_names(tmp_path, json_name, folder):
    write(tmp_path, [entry(1)])
    (tmp_path / "dataset.json").rename(tmp_path / json_name)
    (tmp_path / "images").rename(tmp_path / folder)
    dataset = load_flickr8k(tmp_path)
    assert dataset.name == "flickr8k"
    assert dataset[0].image().size == (4, 3)


def test_flickr8k_without_its_parts_says_which(tmp_path):
    with pytest.raises(FileNotFoundError, match="no Flickr8k folder at"):
        load_flickr8k(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"has none of dataset\.json, dataset_flickr8k\.json"):
        load_flickr8k(tmp_path)
    (tmp_path / "dataset.json").touch()
    with pytest.raises(FileNotFoundError, match="has none of images, Flicker8k_Dataset"):
        load_flickr8k(tmp_path)


@pytest.mark.skipif(not DATA, reason="VSA_LITE_DATA is not set: no photographs here")
def test_the_real_flickr8k():
    dataset = load_flickr8k(Path(DATA) / "flickr8k")
    assert [len(dataset.split(s)) for s in ("train", "val", "test")] == [6000, 1000, 1000]
    assert all(len(record.sentences) == 5 for record in dataset)
    assert dataset[0].image().mode == "RGB"
