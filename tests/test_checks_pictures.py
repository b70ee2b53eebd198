"""Checks of chapters 4 and 5: a right solution passes, each typical wrong one gets its hint."""

import numpy as np
import pytest
import torch
from torchvision.ops import roi_align

from vsa_lite.checks import pictures as checks
from vsa_lite.regions.backbones import Transform
from vsa_lite.regions.boxes import box_iou, non_maximum_suppression
from vsa_lite.regions.proposals import select_regions


def normalise(pixels, mean, std):
    return Transform(pixels.shape[1], mean, std).normalise(pixels)


def convolve(picture, kernel):
    return torch.nn.functional.conv2d(picture[None], kernel[None])[0, 0]


def pool(features, box, side, samples=2, aligned=True, rounded=False):
    corners = box * torch.tensor([features.shape[2], features.shape[1]] * 2)
    corners = corners.round() if rounded else corners
    return roi_align(features[None], [corners[None]], side, sampling_ratio=samples, aligned=aligned)[0]


def top(boxes, scores, count):
    return select_regions(boxes, scores, count)[0]


def unclamped_iou(a, b):
    sides = torch.minimum(a[:, None, 2:], b[None, :, 2:]) - torch.maximum(a[:, None, :2], b[None, :, :2])
    area = [(box[:, 2:] - box[:, :2]).prod(1) for box in (a, b)]
    return sides.prod(2) / (area[0][:, None] + area[1] - sides.prod(2))


def counted_twice(a, b):
    iou = box_iou(a, b)  # i / (A + B - i), and i / (A + B) is iou / (1 + iou)
    return iou / (1 + iou)


def suppressed_by_any(boxes, scores, threshold):
    order = scores.argsort(descending=True)
    return order[~(box_iou(boxes[order], boxes[order]) > threshold).tril(-1).any(1)]


@pytest.mark.parametrize(
    ("check", "solution"),
    [
        (checks.check_normalise, normalise),
        (checks.check_convolve, convolve),
        (checks.check_iou, box_iou),
        (checks.check_suppress, non_maximum_suppression),
        (checks.check_suppress, lambda *given: non_maximum_suppression(*given).tolist()),
        (checks.check_pool_region, pool),
        (checks.check_top_regions, top),
    ],
)
def test_a_right_solution_passes_and_is_told_so(check, solution, capsys):
    check(solution)
    assert "is right" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("check", "solution", "hint"),
    [
        (checks.check_normalise, lambda p, m, s: normalise(p, m, s) * torch.tensor(s)[:, None, None], "left out std"),
        (checks.check_normalise, lambda p, m, s: normalise(p[..., ::-1], m, s), "red and blue"),
        (checks.check_normalise, lambda p, m, s: normalise(p, m, s).permute(0, 2, 3, 1), "channels come second"),
        (checks.check_normalise, lambda p, m, s: normalise(p, (0, 0, 0), (1, 1, 1)), "left out mean and std"),
        (checks.check_normalise, lambda p, m, s: np.zeros(3), "must return a tensor"),
        (checks.check_normalise, lambda p, m, s: normalise(p, m, s) + 1, "a number is off by 1"),
        (checks.check_convolve, lambda p, k: convolve(p, k.flip(1, 2)), "turned the kernel round"),
        (checks.check_convolve, lambda p, k: convolve(p, k.mT), "rows and columns"),
        (checks.check_convolve, lambda p, k: torch.zeros(2), r"wanted a sum .* shape \(5, 5\), got \(2,\)"),
        (checks.check_iou, unclamped_iou, "clamp at 0"),
        (checks.check_iou, counted_twice, "counted twice"),
        (checks.check_iou, lambda a, b: box_iou(b, a), "turned round"),
        (checks.check_suppress, lambda b, s, t: s.argsort(descending=True), "nothing was suppressed"),
        (checks.check_suppress, suppressed_by_any, "a box that has gone"),
        (checks.check_suppress, lambda *given: non_maximum_suppression(*given).sort().values, "best first"),
        (checks.check_pool_region, lambda *given: pool(*given, aligned=False), "half a cell"),
        (checks.check_pool_region, lambda *given: pool(*given, rounded=True), "rounded the box"),
        (checks.check_pool_region, lambda *given: pool(*given, samples=1), "one is not enough"),
        (checks.check_pool_region, lambda *given: pool(*given).mT, "rows and columns"),
        (checks.check_top_regions, lambda b, s, n: top(b, s, n + 1), "is one of the count"),
        (checks.check_top_regions, lambda b, s, n: top(b, s, n + 1)[1:], "is missing"),
        (
            checks.check_top_regions,
            lambda b, s, n: torch.cat([top(b, s, 1), b[s.argsort(descending=True)[: n - 1]]]),
            "crowd out",
        ),
    ],
)
def test_a_wrong_solution_gets_its_hint(check, solution, hint):
    with pytest.raises(AssertionError, match=hint):
        check(solution)
