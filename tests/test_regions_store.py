"""The feature store: written resumably, read by mapping, and everything that is wrong with one is named."""

import json
import subprocess
import sys
import time
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import four_regions, make_backbone, make_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from vsa_lite.data.records import Dataset
from vsa_lite.regions.features import extract_features
from vsa_lite.regions.store import FeatureStore, StoreError, StoreWriter

ARRAYS = ("features", "boxes", "mask", "image_ids", "done")
IDS = (7, 3, 9)


def content(seed=0, n=3, regions=2, d=5):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, regions, d)).astype(np.float32)
    boxes = np.tile(np.array([0, 0, 1, 1], dtype=np.float32), (n, regions, 1))
    return features, boxes, np.ones((n, regions), dtype=bool)


def begin(path, ids=IDS, regions=2, d=5, provenance=None, restart=False):
    return StoreWriter(path, ids, regions, d, provenance or {"backbone": "a", "dataset": "b"}, restart)


def finished(path):
    writer = begin(path)
    writer.write([0, 1, 2], *content())
    return writer.close()


def extract(folder, regions=four_regions, ids=None, **more):
    data = make_dataset(folder / "pictures")
    if ids is not None:
        data = Dataset(data.name, [data.by_id(i) for i in ids])
    options = {"count": 4, "method": "crop", "batch_size": 2, "progress": False} | more
    return extract_features(data, make_backbone(), regions, folder / "store", **options)


def files(path):
    return {name: (path / name).read_bytes() for name in [f"{array}.npy" for array in ARRAYS] + ["store.json"]}


def test_what_is_written_is_read_in_the_order_asked_for(tmp_path):
    features, boxes, mask = content()
    mask[1, 1] = False
    writer = begin(tmp_path / "s")
    writer.write([2, 0], features[[2, 0]], boxes[[2, 0]], mask[[2, 0]])
    writer.write([1], features[[1]], boxes[[1]], mask[[1]])
    store = writer.close()
    assert len(store) == 3
    assert store.feature_size == 5
    assert store.provenance["backbone"] == "a"
    got, got_mask, got_boxes = store.read([9, 7, 9, 3])
    rows = [2, 0, 2, 1]
    np.testing.assert_array_equal(got.numpy(), features[rows].astype(np.float16))
    np.testing.assert_array_equal(got_mask.numpy(), mask[rows])
    np.testing.assert_array_equal(got_boxes.numpy(), boxes[rows])
    assert (got.dtype, got_mask.dtype, got_boxes.dtype) == (torch.float32, torch.bool, torch.float32)
    assert [i in store for i in (7, 3, 9, 8)] == [True, True, True, False]


def test_nothing_is_loaded_before_it_is_asked_for(tmp_path):
    n, regions, d = 200, 10, 256  # 1 MB of float16
    writer = begin(tmp_path / "s", range(n), regions, d)
    features, boxes, mask = content(0, 1, regions, d)
    for row in range(n):
        writer.write([row], features, boxes, mask)
    writer.close()
    tracemalloc.start()
    store = FeatureStore(tmp_path / "s")
    store.read([5, 150])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(store.features, np.memmap)
    assert not store.features.flags.writeable
    assert peak < n * regions * d * 2 / 4


@settings(max_examples=25, deadline=None)
@given(
    order=st.permutations(range(6)), sizes=st.lists(st.integers(1, 3), min_size=6, max_size=6), stop=st.integers(0, 6)
)
def test_any_order_and_any_interruption_give_the_same_files(tmp_path_factory, order, sizes, stop):
    folder = tmp_path_factory.mktemp("order")
    ids, data = tuple(range(20, 26)), content(1, 6)
    straight = begin(folder / "a", ids)
    straight.write(range(6), *data)
    straight.close()
    writer, done = begin(folder / "b", ids), 0
    for number, size in enumerate(sizes):
        if number == stop:  # as after a kill: nothing was closed
            writer = begin(folder / "b", ids)
            assert sorted(writer.todo) == sorted(order[done:])
        rows = order[done : done + size]
        if rows:
            writer.write(rows, *(array[rows] for array in data))
        done += len(rows)
    writer.close()
    assert files(folder / "a") == files(folder / "b")


def test_killed_in_the_middle_and_run_again_equals_the_uninterrupted_run(tmp_path):
    child = subprocess.Popen([sys.executable, __file__, str(tmp_path / "killed")], stdout=subprocess.PIPE, text=True)
    try:
        uninterrupted = extract(tmp_path / "whole")
        assert child.stdout.readline() == "here\n", "the extraction ended before it could be killed"
    finally:
        child.kill()  # kill -9
        child.wait()
    with pytest.raises(StoreError, match=r"unfinished, [1-5] of 6 pictures to go: run the extraction again"):
        FeatureStore(tmp_path / "killed" / "store")
    calls = []

    def counting(record, image):
        calls.append(record.image_id)
        return four_regions(record, image)

    resumed = extract(tmp_path / "killed", counting)
    assert 0 < len(calls) < 6
    assert files(resumed.path) == files(uninterrupted.path)


def test_half_written_rows_are_written_again(tmp_path):
    expected = files(finished(tmp_path / "a").path)
    writer, data = begin(tmp_path / "b"), content()
    writer.write([0], *(array[:1] for array in data))
    writer._arrays["features"][1] = 9  # a kill between the data and its mark
    writer._arrays["boxes"][1] = 0.3
    again = begin(tmp_path / "b")
    assert again.todo.tolist() == [1, 2]
    again.write([1, 2], *(array[1:] for array in data))
    again.close()
    assert files(tmp_path / "b") == expected


def test_pictures_that_failed_are_masked_named_and_tried_again(tmp_path):
    writer, data = begin(tmp_path / "s"), content()
    writer.write([0, 2], *(array[[0, 2]] for array in data))
    writer.fail(1, "b.jpg", "truncated")
    store = writer.close()
    assert store.provenance["failures"] == {"b.jpg": "truncated"}
    assert 3 not in store
    assert 7 in store
    with pytest.raises(StoreError, match="image id 3 could not be read"):
        store.read([7, 3])
    again = begin(tmp_path / "s")
    assert again.todo.tolist() == [1]
    again.write([1], *(array[[1]] for array in data))
    again.mended.add("b.jpg")
    store = again.close()
    assert store.provenance["failures"] == {}
    assert files(store.path) == files(finished(tmp_path / "t").path)


def test_a_store_of_something_else_is_refused(tmp_path):
    finished(tmp_path / "s")
    before = files(tmp_path / "s")
    with pytest.raises(StoreError, match=r"made from something else \(backbone differ\)"):
        begin(tmp_path / "s", provenance={"backbone": "other", "dataset": "b"})
    with pytest.raises(StoreError, match=r"\(dataset differ\)"):
        begin(tmp_path / "s", provenance={"backbone": "a", "dataset": "other"})
    with pytest.raises(StoreError, match=r"\(shape differ\)"):
        begin(tmp_path / "s", d=6)
    with pytest.raises(StoreError, match="begun with other pictures"):
        begin(tmp_path / "s", ids=(7, 3, 8))
    assert files(tmp_path / "s") == before
    begin(tmp_path / "s", provenance={"backbone": "other", "dataset": "b"}, restart=True)
    with pytest.raises(StoreError, match="unfinished, 3 of 3"):
        FeatureStore(tmp_path / "s")


def test_repeated_image_ids_are_refused(tmp_path):
    with pytest.raises(StoreError, match="image id 7 stands twice"):
        begin(tmp_path / "s", ids=(7, 3, 7))


def test_a_disk_that_is_too_small_is_named_before_work_is_done(tmp_path):
    with pytest.raises(StoreError, match=r"needs 2000000\.0 GB, but only"):
        begin(tmp_path / "s", regions=1000, d=333_333_333_333)
    assert not (tmp_path / "s" / "features.npy").exists()


def test_other_pictures_are_refused_when_reading(tmp_path):
    with pytest.raises(StoreError, match="no image id 4: it was made from another data set"):
        finished(tmp_path / "s").read([7, 4])


@pytest.mark.parametrize(("value", "why"), [(np.nan, "not finite"), (np.inf, "not finite"), (7e4, "float16")])
def test_features_that_do_not_fit_are_refused_before_they_are_written(tmp_path, value, why):
    writer, (features, boxes, mask) = begin(tmp_path / "s"), content()
    features[1, 0, 2] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(StoreError, match=f"image id 3.*{why}"):
            writer.write([0, 1, 2], features, boxes, mask)
    assert writer.todo.tolist() == [0, 1, 2]
    assert not np.load(tmp_path / "s" / "features.npy").any()


def test_arrays_of_another_shape_are_refused(tmp_path):
    writer, (features, boxes, mask) = begin(tmp_path / "s"), content()
    with pytest.raises(StoreError, match=r"features.*\(2, 5\).*\(3, 2, 5\)"):
        writer.write([0, 1, 2], features[0], boxes, mask)
    with pytest.raises(StoreError, match=r"boxes.*\(4,\).*\(3, 2, 4\)"):
        writer.write([0, 1, 2], features, boxes[0, 0], mask)
    with pytest.raises(StoreError, match="mask"):
        writer.write([0, 1], features[:2], boxes[:2], mask)


def test_a_missing_store_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"no feature store at .*nowhere: make one with"):
        FeatureStore(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("damage", ["truncated", "empty", "missing", "pickle", "shape"])
def test_a_damaged_store_is_refused(tmp_path, name, damage):
    file = finished(tmp_path / "s").path / f"{name}.npy"
    whole = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "pickle":
        np.save(file, np.array([{"an": "object"}], dtype=object), allow_pickle=True)
    elif damage == "shape":
        np.save(file, np.load(file)[:2])
    else:
        file.write_bytes(whole[:-4] if damage == "truncated" else b"")
    for refused in (lambda: FeatureStore(tmp_path / "s"), lambda: begin(tmp_path / "s")):
        with pytest.raises(StoreError, match=r"s is damaged|begun with other pictures"):
            refused()
    if damage == "truncated":
        assert file.read_bytes() == whole[:-4], "a damaged file must not be mended with zeros"
    assert begin(tmp_path / "s", restart=True).todo.tolist() == [0, 1, 2]


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"backbone": "a"'])
def test_a_damaged_manifest_is_refused(tmp_path, text):
    path = finished(tmp_path / "s").path
    (path / "store.json").write_text(text)
    for refused in (lambda: FeatureStore(path), lambda: begin(path)):
        with pytest.raises(StoreError, match=r"store\.json"):
            refused()


def test_killed_while_it_began_it_begins_again(tmp_path):
    path = tmp_path / "s"
    begin(path)
    (path / "store.json").unlink()  # written last, so a kill while beginning leaves a folder without it
    (path / "mask.npy").write_bytes(b"")
    assert files(finished(path).path) == files(finished(tmp_path / "t").path)


def test_provenance_that_json_changes_still_compares_equal(tmp_path):
    provenance = {"transform": {"mean": (0.1, 0.2)}, 1: "number"}
    begin(tmp_path / "s", provenance=provenance)
    begin(tmp_path / "s", provenance=provenance)
    assert json.loads((tmp_path / "s" / "store.json").read_text())["transform"] == {"mean": [0.1, 0.2]}


if __name__ == "__main__":  # the run that is killed: it says where it is and waits there

    def waiting(record, image):
        if record.image_id == 15:
            print("here", flush=True)
            time.sleep(60)
        return four_regions(record, image)

    extract(Path(sys.argv[1]), waiting)
