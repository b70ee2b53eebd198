"""The region CNN: shapes, moves, what it starts from, that it learns, repeats itself; measures against naive ones."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torchvision.ops import roi_align

from vsa_lite.data.records import Dataset, Record
from vsa_lite.regions.boxes import box_iou
from vsa_lite.regions.features import extract_features
from vsa_lite.regions.proposals import GridWindows, Proposals, ProposedRegions, select_regions
from vsa_lite.regions.region_cnn import (
    WINDOWS,
    RegionCNN,
    RegionCNNProposals,
    box_moves,
    detect,
    move_boxes,
    pool_regions,
    region_features,
)
from vsa_lite.regions.region_cnn_training import (
    average_precision,
    classification_accuracy,
    detection_metrics,
    fine_tune,
    load_pictures,
    pretrain,
    proposal_upper_bound,
    sample_windows,
    thing_boxes,
)

KINDS = ("disc", "square", "triangle")
SIZE = 64


@dataclass(frozen=True)
class Shapes:
    """Discs, squares and triangles of any colour on a grey wall."""

    boxes: np.ndarray
    labels: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]

    def draw(self):
        image = Image.new("RGB", (SIZE, SIZE), (120, 120, 120))
        draw = ImageDraw.Draw(image)
        for (x0, y0, x1, y1), label, colour in zip(self.boxes * SIZE, self.labels, self.colours, strict=True):
            if label == "disc":
                draw.ellipse((x0, y0, x1, y1), fill=colour)
            elif label == "square":
                draw.rectangle((x0, y0, x1, y1), fill=colour)
            else:
                draw.polygon([(x0, y1), (x1, y1), ((x0 + x1) / 2, y0)], fill=colour)
        return image


def shapes(number, things, seed, scale=(0.3, 0.5)):
    rng = np.random.default_rng(seed)
    records = []
    for image_id in range(number):
        side = rng.uniform(*scale, (things, 1))
        corner = rng.uniform(0, 1 - side, (things, 2))
        boxes = np.concatenate([corner, corner + side], 1).astype(np.float32)
        labels = tuple(KINDS[i] for i in rng.integers(0, 3, things))
        colours = tuple(tuple(int(c) for c in rng.integers(0, 256, 3)) for _ in range(things))
        drawing = Shapes(boxes, labels, colours)
        records.append(Record(image_id, str(image_id), drawing, "train", (), boxes, labels))
    return Dataset("shapes", records)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def small(seed=0, kinds=KINDS):
    return RegionCNN(kinds, seeded(seed), size=SIZE, widths=(8, 16, 32, 32), feature_size=24, pool_size=3)


@pytest.fixture(scope="module")
def scenes():
    dataset = shapes(48, 2, seed=1)
    return load_pictures((r.image() for r in dataset), SIZE), *thing_boxes(dataset, KINDS)


@pytest.fixture(scope="module")
def trained(scenes):
    model = small()
    losses = fine_tune(model, *scenes, seeded(1), epochs=20, batch_size=8, regions=24, progress=False)
    return model, losses


def test_moves_are_undone():
    generator = seeded()
    corner = torch.rand(2, 9, 2, generator=generator) * 0.5
    a = torch.cat([corner, corner + 0.1 + 0.3 * torch.rand(2, 9, 2, generator=generator)], -1)
    b = a.flip(1)
    torch.testing.assert_close(move_boxes(a, box_moves(a, b)), b)
    torch.testing.assert_close(move_boxes(a, torch.zeros(2, 9, 4)), a)


@pytest.mark.parametrize("shape", [(9, 9), (5, 8)])
def test_pooled_regions_are_torchvisions(shape):
    generator = seeded()
    maps = torch.randn(3, 4, *shape, generator=generator, dtype=torch.float64, requires_grad=True)
    corner = torch.rand(3, 6, 2, generator=generator) * 0.6
    boxes = torch.cat([corner, corner + 0.4 * torch.rand(3, 6, 2, generator=generator)], -1)
    boxes[:, 0] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    corners = boxes.reshape(-1, 4).double() * torch.tensor([shape[1], shape[0]] * 2)
    index = torch.arange(3).repeat_interleave(6)[:, None]
    expected = roi_align(maps, torch.cat([index, corners], 1), 3, sampling_ratio=2, aligned=True).view(3, 6, 4, 3, 3)
    pooled = pool_regions(maps, boxes.double(), 3)
    torch.testing.assert_close(pooled, expected)
    weights = torch.randn(pooled.shape, generator=generator, dtype=torch.float64)
    gradients = [torch.autograd.grad((x * weights).sum(), maps)[0] for x in (pooled, expected)]
    torch.testing.assert_close(*gradients)


def test_shapes_of_everything(scenes):
    model = small()
    pictures, boxes, classes = scenes
    assert boxes.shape == (48, 2, 4)
    assert classes.shape == (48, 2)
    assert model(pictures[:3]).shape == (3, 4)
    assert model.maps(pictures[:3]).shape == (3, 32, 8, 8)
    assert region_features(model, pictures[:3], boxes[:3]).shape == (3, 2, 24)
    found = detect(model, pictures[:3], count=5)
    assert len(found) == 3
    assert all(len(p) <= 5 and len(p.labels) == len(p) and (p.scores.diff() <= 0).all() for p in found)


def test_detections_of_a_batch_equal_those_one_by_one(trained, scenes):
    model, _ = trained
    together = detect(model, scenes[0][:4])
    for picture, expected in zip(scenes[0][:4], together, strict=True):
        alone = RegionCNNProposals(model)(Image.fromarray(picture))
        torch.testing.assert_close(alone.boxes, expected.boxes, atol=1e-4, rtol=1e-4)
        assert alone.labels == expected.labels


def test_a_new_model_knows_nothing(scenes):
    pictures, _, classes = scenes
    losses = pretrain(small(), pictures, classes[:, 0], seeded(), epochs=1, batch_size=48, progress=False)
    assert losses[0] == pytest.approx(np.log(4), abs=0.1)


def test_pretraining_learns_to_name_things():
    dataset = shapes(96, 1, seed=2, scale=(0.6, 0.9))
    pictures, classes = load_pictures((r.image() for r in dataset), SIZE), thing_boxes(dataset, KINDS)[1][:, 0]
    model = small()
    losses = pretrain(model, pictures, classes, seeded(1), epochs=12, batch_size=16, progress=False)
    assert losses[-1] < 0.5 * losses[0]
    test = shapes(60, 1, seed=3, scale=(0.6, 0.9))
    held_out = load_pictures((r.image() for r in test), SIZE), thing_boxes(test, KINDS)[1][:, 0]
    assert classification_accuracy(model, *held_out) > 60


def test_fine_tuning_learns_to_find_things(trained, scenes):
    model, losses = trained
    assert losses[-1] < 0.7 * losses[0]
    held_out = shapes(40, 2, seed=4)
    test = load_pictures((r.image() for r in held_out), SIZE), *thing_boxes(held_out, KINDS)
    after, before = detection_metrics(model, *test, count=4), detection_metrics(small(), *test, count=4)
    assert after["proposal_upper_bound"] > before["proposal_upper_bound"] + 15
    assert after["mean_average_precision"] > before["mean_average_precision"] + 15
    assert after["region_accuracy"] > 50


def test_training_twice_gives_the_same(scenes):
    states = []
    for _ in range(2):
        model = small(3)
        fine_tune(model, *scenes, seeded(5), epochs=1, batch_size=16, regions=12, progress=False)
        states.append(model.state_dict())
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name], rtol=0, atol=0)


def test_windows_to_learn_from():
    dataset = shapes(6, 3, seed=6)
    boxes, classes = thing_boxes(dataset, KINDS)
    classes[0, 1:], boxes[0, 1:] = 0, 0  # a picture with one thing only
    chosen, kinds, targets, iou = sample_windows(WINDOWS.boxes(), boxes, classes, 30, seeded())
    assert chosen.shape == targets.shape == (6, 30, 4)
    for k in range(6):
        real = classes[k] > 0
        overlap, nearest = box_iou(chosen[k], boxes[k][real]).max(1)
        torch.testing.assert_close(iou[k], overlap)
        expected = torch.where(overlap >= 0.5, classes[k][real][nearest], 0)
        assert (kinds[k] == expected).all()
        assert 5 <= (kinds[k] > 0).sum() <= 10
        torch.testing.assert_close(targets[k][overlap > 0], boxes[k][real][nearest][overlap > 0])


def test_a_fresh_classifier_keeps_the_features(scenes):
    model = small()
    before = region_features(model, scenes[0][:2], scenes[1][:2])
    model.fresh_classifier(("cat", "dog"), seeded())
    torch.testing.assert_close(region_features(model, scenes[0][:2], scenes[1][:2]), before)
    assert model(scenes[0][:2]).shape == (2, 3)


def test_as_backbone_gives_the_same_features(trained, scenes):
    model, _ = trained
    backbone = model.as_backbone()
    assert backbone.feature_size == 24
    expected = region_features(model, scenes[0][:5], scenes[1][:5])
    features = backbone.region_vectors(scenes[0][:5], scenes[1][:5], pool_size=3)
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=1e-3)
    training = model.regions(model.maps(scenes[0][:5]), scenes[1][:5])  # with gradients: another way to pool
    torch.testing.assert_close(training, expected, atol=1e-4, rtol=1e-3)


def test_the_region_cnn_fills_a_store(tmp_path, trained):
    model, _ = trained
    dataset = shapes(5, 2, seed=10)
    regions = ProposedRegions(RegionCNNProposals(model), count=6, fill=GridWindows())
    store = extract_features(
        dataset, model.as_backbone(), regions, tmp_path, count=6, size=SIZE, pool_size=3, progress=False
    )
    features, mask, boxes = store.read([0, 3])
    assert mask.all()
    assert boxes[0, 0].tolist() == [0, 0, 1, 1]
    expected = region_features(model, load_pictures([dataset[3].image()], SIZE), boxes[1:])
    torch.testing.assert_close(features[1, 1:], expected[0, 1:], atol=1e-2, rtol=1e-2)


def test_saved_and_loaded(tmp_path, trained, scenes):
    model, _ = trained
    model.save(tmp_path / "model.safetensors")
    again = RegionCNN.load(tmp_path / "model.safetensors")
    assert again.kinds == KINDS
    boxes = scenes[1][:2]
    torch.testing.assert_close(
        region_features(again, scenes[0][:2], boxes), region_features(model, scenes[0][:2], boxes)
    )
    with pytest.raises(FileNotFoundError, match="no region CNN at"):
        RegionCNN.load(tmp_path / "none.safetensors")
    flipped = bytearray((tmp_path / "model.safetensors").read_bytes())
    flipped[-1000] ^= 1  # one bit of a weight
    (tmp_path / "flipped.safetensors").write_bytes(flipped)
    with pytest.raises(ValueError, match="damaged or was changed"):
        RegionCNN.load(tmp_path / "flipped.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ValueError, match="does not hold a region CNN"):
        RegionCNN.load(tmp_path / "bad.safetensors")


def test_detections_become_regions(trained, scenes):
    found = detect(trained[0], scenes[0][:1])[0]
    regions, mask = select_regions(found.boxes, found.scores, fill_boxes=WINDOWS.boxes())
    assert regions.shape == (20, 4)
    assert mask.all()


def test_average_precision_equals_a_naive_one():
    rng = np.random.default_rng(0)
    boxes, things = thing_boxes(shapes(12, 3, seed=7), KINDS)
    found = []
    for k in range(12):
        noise = torch.from_numpy(rng.normal(0, 0.05, (9, 4)).astype(np.float32))
        moved = (boxes[k].repeat(3, 1) + noise).clamp(0, 1)
        moved = torch.cat([torch.minimum(moved[:, :2], moved[:, 2:]), torch.maximum(moved[:, :2], moved[:, 2:])], 1)
        found.append(Proposals(moved, torch.from_numpy(rng.random(9).astype(np.float32))))
    flat = sorted(((float(p.scores[d]), k, d) for k, p in enumerate(found) for d in range(len(p))), reverse=True)
    taken, hits, points = set(), 0, []
    total = int((things == 1).sum())
    for place, (_, k, d) in enumerate(flat, start=1):
        overlaps = [float(box_iou(found[k].boxes[[d]], boxes[k][[t]])) * bool(things[k, t] == 1) for t in range(3)]
        t = int(np.argmax(overlaps))
        if overlaps[t] >= 0.5 and (k, t) not in taken:
            taken.add((k, t))
            hits += 1
        points.append((hits / total, hits / place))
    area, last = 0.0, 0.0
    for i, (recall, _) in enumerate(points):
        area += (recall - last) * max(p for _, p in points[i:])
        last = recall
    assert 0 < area < 1
    assert average_precision(found, boxes, things == 1) == pytest.approx(area, abs=1e-5)


def test_perfect_detections_score_one():
    boxes, things = thing_boxes(shapes(5, 2, seed=8), KINDS)
    found = [Proposals(b, torch.rand(2, generator=seeded())) for b in boxes]
    assert average_precision(found, boxes, things > 0) == pytest.approx(1)
    assert average_precision([p.keep(torch.tensor([], dtype=torch.int64)) for p in found], boxes, things > 0) == 0


def test_the_upper_bound_counts_things_with_a_region():
    boxes = torch.tensor([[[0.0, 0.0, 0.2, 0.2], [0.1, 0.1, 0.95, 0.95]], [[0.5, 0.5, 0.7, 0.7], [0.0, 0.0, 0.0, 0.0]]])
    things = torch.tensor([[True, True], [True, False]])
    nothing = Proposals(torch.zeros(0, 4), torch.zeros(0))
    assert proposal_upper_bound([nothing, nothing], boxes, things) == pytest.approx(
        100 / 3
    )  # the whole picture has one
    near = Proposals(torch.tensor([[0.5, 0.5, 0.7, 0.65]]), torch.ones(1))
    assert proposal_upper_bound([nothing, near], boxes, things) == pytest.approx(200 / 3)


def test_bad_input_is_named(scenes):
    pictures, boxes, classes = scenes
    with pytest.raises(ValueError, match="kinds must be different"):
        small(kinds=("cat", "cat"))
    with pytest.raises(ValueError, match="size must be at least 32"):
        RegionCNN(KINDS, seeded(), size=8)
    with pytest.raises(ValueError, match=r"classes must be one of 1..3"):
        pretrain(small(), pictures, torch.zeros(48, dtype=torch.int64), seeded(), progress=False)
    with pytest.raises(ValueError, match="need boxes and classes"):
        fine_tune(small(), pictures[:4], boxes, classes, seeded(), progress=False)
    with pytest.raises(ValueError, match="epochs must be at least 1, got 0"):
        fine_tune(small(), *scenes, seeded(), epochs=0, progress=False)
    with pytest.raises(ValueError, match="learning_rate must be above 0"):
        fine_tune(small(), *scenes, seeded(), learning_rate=0.0, progress=False)
    with pytest.raises(ValueError, match="pictures must be uint8"):
        detect(small(), pictures.astype(np.float32))
    with pytest.raises(ValueError, match="which is none of the kinds"):
        thing_boxes(shapes(3, 1, seed=9), ("boat",))
