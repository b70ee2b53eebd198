"""Proposals: every proposer gives good boxes, gives the same twice, names what is wrong; selection."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from vsa_lite.data.records import Record
from vsa_lite.regions.boxes import WHOLE_PICTURE, box_iou
from vsa_lite.regions.detections import DetectionsFile, DetectorProposals
from vsa_lite.regions.proposals import (
    GridWindows,
    Proposals,
    ProposedRegions,
    SelectiveSearch,
    select_regions,
    worth_a_look,
)


def picture(size=(120, 100)):
    """A blue and a red thing on green; their boxes in pixels."""
    image = Image.new("RGB", size, (80, 160, 80))
    draw = ImageDraw.Draw(image)
    things = [(10, 10, 50, 60), (70, 40, 110, 90)]
    for box, colour in zip(things, [(30, 30, 200), (200, 30, 30)], strict=True):
        draw.ellipse(box, fill=colour)
    return image, torch.tensor(things) / torch.tensor(size * 2)


def save_detections(path, **changes):
    arrays = {
        "boxes": np.array(
            [[[0.1, 0.1, 0.5, 0.5], [0, 0, 0, 0]], [[0, 0, 0.9, 0.9], [0.5, 0.5, 1, 1]]], dtype=np.float32
        ),
        "scores": np.array([[0.9, 0], [0.4, 0.7]], dtype=np.float32),
        "classes": np.array([[1, -1], [0, 1]], dtype=np.int16),
        "filenames": np.array(["a.jpg", "b.jpg"]),
        "class_names": np.array(["cat", "dog"]),
    } | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_whole_picture_first_then_the_best_without_repeats():
    boxes = torch.tensor(
        [[0.1, 0.1, 0.4, 0.4], [0.1, 0.1, 0.41, 0.4], [0.6, 0.6, 0.9, 0.9], [0, 0, 1, 1], [0.5, 0.5, 0.51, 0.51]]
    )
    regions, mask = select_regions(boxes, torch.tensor([0.5, 0.9, 0.1, 0.8, 1.0]), count=5)
    assert mask.tolist() == [True, True, True, False, False]
    torch.testing.assert_close(regions[:3], torch.stack([torch.tensor(WHOLE_PICTURE), boxes[1], boxes[2]]))
    assert (regions[~mask] == 0).all()


def test_selection_equals_a_naive_one():
    generator = torch.Generator().manual_seed(1)
    corner = torch.rand(60, 2, generator=generator) * 0.6
    boxes = torch.cat([corner, corner + 0.1 + 0.3 * torch.rand(60, 2, generator=generator)], 1)
    scores = torch.rand(60, generator=generator)
    kept = []
    for i in sorted(range(60), key=lambda i: -scores[i]):
        if all(box_iou(boxes[[i]], boxes[[j]]) <= 0.3 for j in kept):
            kept.append(i)
    regions, mask = select_regions(boxes, scores, count=8, nms_iou=0.3)
    assert mask.all()
    torch.testing.assert_close(regions[1:], boxes[kept[:7]])


def test_fill_boxes_come_after_every_proposal():
    boxes, fill = torch.tensor([[0.0, 0.0, 0.3, 0.3], [0.5, 0.5, 1.0, 1.0]]), GridWindows().boxes()
    regions, mask = select_regions(boxes, torch.tensor([-7.0, -3.0]), fill_boxes=fill)
    assert mask.all()
    torch.testing.assert_close(regions[1:3], boxes[[1, 0]])
    overlap = box_iou(regions[1:], regions[1:])
    assert (overlap.fill_diagonal_(0) <= 0.5).all()


def test_regions_of_a_record_are_looked_up_by_its_name(tmp_path):
    image, _ = picture()
    regions = ProposedRegions(DetectionsFile(save_detections(tmp_path / "d.npz")), count=4, fill=GridWindows())
    boxes, mask = regions(Record(3, "a.jpg", tmp_path / "a.jpg", "test", ()), image)
    assert mask.all()
    torch.testing.assert_close(boxes[1], torch.tensor([0.1, 0.1, 0.5, 0.5]))
    with pytest.raises(KeyError, match=r"no detections for 'c.jpg'"):
        regions(Record(4, "c.jpg", tmp_path / "c.jpg", "test", ()), image)


def test_no_proposals_leave_the_whole_picture():
    regions, mask = select_regions(torch.zeros(0, 4), torch.zeros(0))
    assert regions.shape == (20, 4)
    assert mask.sum() == 1
    assert mask[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count must be at least 1"),
        ({"nms_iou": 1.5}, "iou must be in 0 to 1"),
        ({"boxes": torch.tensor([[0.0, 0.0, 50.0, 50.0]])}, "divide pixels"),
        ({"scores": torch.tensor([float("nan")])}, "score 0 of the proposals is not finite"),
        ({"scores": torch.zeros(2)}, "n scores"),
    ],
)
def test_selection_names_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        select_regions(**{"boxes": torch.tensor([[0.0, 0.0, 0.5, 0.5]]), "scores": torch.zeros(1), **arguments})


def test_tiny_boxes_are_not_worth_a_look():
    boxes = torch.tensor([[0, 0, 0.03, 0.5], [0, 0, 0.05, 0.5], [0, 0, 0.05, 0.01]])
    assert worth_a_look(boxes, (100, 1000)).tolist() == [False, True, False]


@pytest.mark.parametrize("size", [(64, 64), (300, 100), (100, 300)])
def test_windows_cover_the_picture(size):
    found = GridWindows()(Image.new("RGB", size))
    covered = torch.zeros(50, 50, dtype=torch.bool)
    middle = (torch.arange(50) + 0.5) / 50
    for x0, y0, x1, y1 in found.boxes:
        covered |= ((middle >= y0) & (middle <= y1))[:, None] & ((middle >= x0) & (middle <= x1))
    assert covered.all()
    square = GridWindows(scales=[0.2], aspects=[1.0]).boxes(size)
    pixels = (square[:, 2:] - square[:, :2]) * torch.tensor(size)
    torch.testing.assert_close(pixels[:, 0], pixels[:, 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"scales": [1.2]}, "scales"), ({"aspects": [0]}, "aspects"), ({"overlap": 1}, "overlap")],
)
def test_windows_name_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        GridWindows(**arguments)


def test_selective_search_finds_the_things_the_same_way_twice():
    pytest.importorskip("cv2.ximgproc", reason="needs the extra selective-search")
    image, things = picture()
    search = SelectiveSearch()
    found, again = search(image), search(image)
    assert (box_iou(things, found.boxes).amax(1) > 0.7).all()
    torch.testing.assert_close(found.boxes, again.boxes)
    assert (found.scores.diff() < 0).all()
    assert len(search(Image.new("RGB", (1, 1)))) == 0
    assert search(Image.new("L", (40, 30))).boxes.shape[1] == 4


def test_selective_search_names_the_extra_where_opencv_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2.ximgproc", None)
    with pytest.raises(ImportError, match=r"vsa-lite\[selective-search\]"):
        SelectiveSearch()
    with pytest.raises(ValueError, match="mode must be"):
        SelectiveSearch(mode="slow")


def test_detector_from_a_local_file(tmp_path):
    name, options = "ssdlite320_mobilenet_v3_large", {"num_classes": 3}
    first = DetectorProposals(name, weights=None, score_threshold=0.0, **options)
    torch.save(first.model.state_dict(), tmp_path / "weights.pth")
    second = DetectorProposals(name, weights=tmp_path / "weights.pth", score_threshold=0.0, **options)
    image, _ = picture()
    found, again = first(image), second(image)
    torch.testing.assert_close(found.boxes, again.boxes)
    assert len(found.labels) == len(found)
    assert set(found.labels) <= {"1", "2"}
    assert len(first(Image.new("RGB", (1, 1)))) == 0


def test_detector_names_bad_input(tmp_path):
    with pytest.raises(ValueError, match="has no detector 'resnet50'"):
        DetectorProposals("resnet50")
    with pytest.raises(ValueError, match="file or one of COCO_V1"):
        DetectorProposals("ssd300_vgg16", weights="BEST")
    with pytest.raises(FileNotFoundError, match="no weights at"):
        DetectorProposals("ssd300_vgg16", weights=tmp_path / "none.pth")


def test_detections_file(tmp_path):
    file = DetectionsFile(save_detections(tmp_path / "d.npz"))
    image, _ = picture()
    found = file(image, "a.jpg")
    assert found.labels == ("dog",)
    torch.testing.assert_close(found.boxes, torch.tensor([[0.1, 0.1, 0.5, 0.5]]))
    assert file(image, "b.jpg").labels == ("cat", "dog")
    with pytest.raises(KeyError, match=r"no detections for 'c.jpg'"):
        file(image, "c.jpg")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": None}, "lacks scores"),
        ({"boxes": np.zeros((2, 3, 4), np.float32)}, "boxes has shape"),
        ({"classes": np.full((2, 2), 7)}, "class 7, but 2 class names"),
        ({"filenames": np.array(["a.jpg", None], dtype=object)}, "cannot be read as detections"),
    ],
)
def test_detections_file_names_bad_input(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        DetectionsFile(save_detections(tmp_path / "d.npz", **changes))


def test_detections_file_that_is_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="no detections file"):
        DetectionsFile(tmp_path / "d.npz")
    (tmp_path / "d.npz").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="cannot be read as detections"):
        DetectionsFile(tmp_path / "d.npz")


def test_the_real_detections_file():
    path = Path(os.environ.get("VSA_LITE_DATA", "")) / "flickr8k" / "detections.npz"
    if not os.environ.get("VSA_LITE_DATA") or not path.exists():
        pytest.skip("needs VSA_LITE_DATA with flickr8k/detections.npz")
    file = DetectionsFile(path)
    image = Image.new("RGB", (224, 224))
    names = list(file._row)[:200]
    counts = [int(select_regions(*(lambda p: (p.boxes, p.scores))(file(image, name)))[1].sum()) for name in names]
    assert 4 < np.mean(counts) < 20


def test_proposals_name_bad_input():
    with pytest.raises(ValueError, match="1 labels"):
        Proposals(torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2), torch.zeros(2), ("cat",))
