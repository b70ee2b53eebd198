"""Chapters 4 and 5 build what the package has: their definitions give the package's numbers."""

import ast
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from test_chapters import definitions, read, sources

from vsa_lite.regions.backbones import Transform
from vsa_lite.regions.boxes import box_iou, non_maximum_suppression
from vsa_lite.regions.proposals import GridWindows, select_regions
from vsa_lite.regions.region_cnn import RegionCNN, box_moves, detect, move_boxes, pool_regions

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
TRANSFER, REGIONS = NOTEBOOKS / "04_transfer.ipynb", NOTEBOOKS / "05_region_cnn.ipynb"


def lift(path, *names):
    """Functions of a chapter, each with the others beside it and with the modules that chapters import."""
    space = definitions(path, *names)
    space |= {"torch": torch, "np": np, "math": math}
    return space


def random_boxes(count, seed, least=0.02):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 0.7
    side = least + torch.rand(count, 2, generator=generator) * (0.3 - least)
    return torch.cat([corner, corner + side], 1)


def pixels(count, side, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def cnn():
    return RegionCNN(("cat", "dog", "bus"), torch.Generator().manual_seed(0), size=64, widths=(4, 6, 8)).eval()


@pytest.mark.parametrize("count", [1, 3])
def test_normalise_is_the_transforms(count):
    normalise, p = lift(TRANSFER, "normalise")["normalise"], pixels(count, 9)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    torch.testing.assert_close(normalise(p, mean, std), Transform(9, mean, std).normalise(p).contiguous())


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 3, 7), (5, 6, 3)])
def test_convolve_is_torchs(shape):
    generator = torch.Generator().manual_seed(0)
    picture, kernel = (torch.randn(*size, generator=generator) for size in (shape, (shape[0], 3, 3)))
    wanted = torch.nn.functional.conv2d(picture[None], kernel[None])[0, 0]
    torch.testing.assert_close(lift(TRANSFER, "convolve")["convolve"](picture, kernel), wanted)


def test_layers_end_with_the_features_of_the_backbone(cnn):
    answers, p = lift(TRANSFER, "layers")["layers"](cnn, pixels(2, 64)), pixels(2, 64)
    assert [answer.shape[1] for answer in answers] == [4, 6, 8, cnn.config["feature_size"]]
    torch.testing.assert_close(answers[-2], cnn.maps(p).detach())
    torch.testing.assert_close(answers[-1], cnn.as_backbone().vectors(p), atol=1e-4, rtol=1e-4)
    vectors = lift(TRANSFER, "layers", "vectors")["vectors"](cnn, p)
    assert [vector.shape[1] for vector in vectors] == [9 * 4, 9 * 6, 9 * 8, cnn.config["feature_size"]]


def test_nearest_is_the_largest_cosine():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(4, 5, generator=generator), torch.randn(9, 5, generator=generator)
    found = lift(TRANSFER, "nearest")["nearest"](a, b, 3)
    for row, wanted in zip(a, found, strict=True):
        cosine = torch.stack([torch.nn.functional.cosine_similarity(row, other, dim=0) for other in b])
        assert cosine.argsort(descending=True)[:3].tolist() == wanted.tolist()


def test_the_probe_solves_its_equation():
    generator = torch.Generator().manual_seed(0)
    f, classes = torch.randn(30, 4, generator=generator, dtype=torch.float64), torch.arange(30) % 3
    f[:, :3] += torch.nn.functional.one_hot(classes)
    scores = lift(TRANSFER, "probe")["probe"](f.float(), classes, strength=0.2)(f.float())
    x = (f - f.mean(0)) / (f.std(0) + 1e-3 * f.std())
    x = torch.cat([x, torch.ones(30, 1, dtype=torch.float64)], 1)
    # the same minimum, found as least squares with the penalty as further rows
    rows = torch.cat([x, (0.2 * 5) ** 0.5 * torch.eye(5, dtype=torch.float64)])
    answers = torch.cat([torch.nn.functional.one_hot(classes).double(), torch.zeros(5, 3, dtype=torch.float64)])
    weights = torch.linalg.lstsq(rows, answers).solution
    torch.testing.assert_close(scores.double(), x @ weights, atol=1e-4, rtol=1e-4)
    accuracy = lift(TRANSFER, "accuracy")["accuracy"]
    assert accuracy(torch.eye(4), torch.tensor([0, 1, 2, 0])) == 75


@pytest.mark.parametrize("side", [0.66, 0.47, 0.33, 0.11, 1.0])
@pytest.mark.parametrize("overlap", [0.5, 0.2])
def test_sliding_windows_are_the_grids(side, overlap):
    windows = lift(REGIONS, "sliding_windows")["sliding_windows"](side, overlap)
    torch.testing.assert_close(windows, GridWindows((side,), (1.0,), overlap).boxes())


@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 5), (40, 3)])
def test_iou_is_the_packages(n, m):
    a, b = random_boxes(n, 1), random_boxes(m, 2)
    torch.testing.assert_close(lift(REGIONS, "area", "iou")["iou"](a, b), box_iou(a, b))


@pytest.mark.parametrize("box", [(0.1, 0.2, 0.8, 0.5), (0.0, 0.0, 1.0, 1.0), (0.93, 0.9, 0.99, 1.0)])
@pytest.mark.parametrize(("shape", "side"), [((3, 9, 9), 3), ((2, 7, 12), 7), ((1, 5, 4), 1)])
def test_pool_region_is_the_packages(shape, side, box):
    features = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    box = torch.tensor(box)
    mine = lift(REGIONS, "pool_region")["pool_region"](features, box, side)
    torch.testing.assert_close(mine, pool_regions(features[None], box[None, None], side)[0, 0], atol=1e-5, rtol=1e-5)


def test_moves_are_the_packages():
    space = lift(REGIONS, "split", "moves_between", "moved")
    boxes, targets = random_boxes(30, 3, 0.1), random_boxes(30, 4, 0.1)
    unit = torch.tensor([0.1, 0.1, 0.2, 0.2])
    moves = space["moves_between"](boxes, targets)
    torch.testing.assert_close(moves, box_moves(boxes, targets) * unit)
    torch.testing.assert_close(space["moved"](boxes, moves), targets)
    small = moves.clamp(-0.4, 0.4)
    torch.testing.assert_close(space["moved"](boxes, small), move_boxes(boxes, small / unit))


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("count", [1, 30])
def test_suppression_and_selection_are_the_packages(threshold, count):
    space = lift(REGIONS, "area", "iou", "suppress", "top_regions")
    boxes, scores = random_boxes(count, 5, 0.2), torch.rand(count, generator=torch.Generator().manual_seed(6))
    kept = space["suppress"](boxes, scores, threshold)
    assert kept.tolist() == non_maximum_suppression(boxes, scores, threshold).tolist()
    for regions in (1, 4, 50):
        wanted, mask = select_regions(boxes, scores, regions)
        torch.testing.assert_close(space["top_regions"](boxes, scores, regions), wanted[mask])


def test_looking_twice_is_detection(cnn):
    names = ("area", "iou", "suppress", "split", "moved", "pool_region", "look_twice")
    space = lift(REGIONS, *names)
    p, windows = pixels(1, 64, seed=1), GridWindows((0.5, 0.3), (1.0,)).boxes()
    boxes, scores, kinds = space["look_twice"](cnn, p[0], windows, candidates=20)
    kept = space["suppress"](boxes, scores)[:19]
    (wanted,) = detect(cnn, p, windows=windows, candidates=20)
    torch.testing.assert_close(boxes[kept], wanted.boxes, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(scores[kept], wanted.scores, atol=1e-4, rtol=1e-3)
    assert tuple(cnn.kinds[kind] for kind in kinds[kept].tolist()) == wanted.labels


@pytest.mark.parametrize("path", [TRANSFER, REGIONS], ids=lambda path: path.stem)
def test_every_exercise_has_a_folded_solution(path):
    cells = read(path)["cells"]
    exercises = [i for i, cell in enumerate(cells) if "".join(cell["source"]).startswith(("**", "## Exercises"))]
    exercises = [i for i in exercises if "**1.**" in "".join(cells[i]["source"]) or cells[i]["source"][0][:2] == "**"]
    assert 3 <= len(exercises) <= 5
    for i in exercises:
        source = "".join(cells[i + 1]["source"])
        assert source.startswith("# One solution")
        assert "hide-cell" in cells[i + 1]["metadata"]["tags"]
        ast.parse(source)
    assert any("vsa_lite.checks.pictures" in cell for cell in sources(path, "code"))
