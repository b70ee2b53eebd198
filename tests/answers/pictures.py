"""Chapters 4 and 5: two right answers to every self-check, and usual mistakes with the hint that each should get."""

import numpy as np
import torch
import torchvision
from torchvision.ops import roi_align

from vsa_lite.regions.boxes import box_iou, non_maximum_suppression
from vsa_lite.regions.proposals import select_regions


def normalise(pixels, mean, std):
    x = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2) / 255
    return torchvision.transforms.functional.normalize(x, mean, std)


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


def normalise_by_channel(pixels, mean, std):
    channels = [(pixels[..., c] / 255 - mean[c]) / std[c] for c in range(3)]
    return torch.tensor(np.stack(channels, 1), dtype=torch.float32)


def convolve_by_windows(picture, kernel):
    windows = picture.unfold(1, 3, 1).unfold(2, 3, 1)  # (channels, height - 2, width - 2, 3, 3)
    return torch.einsum("chwij,cij->hw", windows, kernel)


def iou_by_pairs(a, b):
    rows = []
    for x0, y0, x1, y1 in a.tolist():
        row = []
        for u0, v0, u1, v1 in b.tolist():
            inside = max(0.0, min(x1, u1) - max(x0, u0)) * max(0.0, min(y1, v1) - max(y0, v0))
            row.append(inside / ((x1 - x0) * (y1 - y0) + (u1 - u0) * (v1 - v0) - inside))
        rows.append(row)
    return torch.tensor(rows)


def pool_by_quarters(features, box, side):
    fine = roi_align(
        features[None],
        [box[None] * torch.tensor([features.shape[2], features.shape[1]] * 2)],
        2 * side,
        sampling_ratio=1,
        aligned=True,
    )
    return torch.nn.functional.avg_pool2d(fine, 2)[0]


def best_by_hand(boxes, scores, count):
    kept = [torch.tensor([0.0, 0.0, 1.0, 1.0])]
    return torch.stack(kept + [boxes[n] for n in non_maximum_suppression(boxes, scores, 0.5)[: count - 1]])


RIGHT = {
    "check_normalise": (normalise, normalise_by_channel, lambda *given: normalise(*given).numpy()),
    "check_convolve": (convolve, convolve_by_windows),
    "check_iou": (box_iou, iou_by_pairs, lambda a, b: box_iou(a, b).tolist()),
    "check_suppress": (non_maximum_suppression, lambda *given: non_maximum_suppression(*given).tolist()),
    "check_pool_region": (pool, pool_by_quarters),
    "check_top_regions": (top, best_by_hand),
}
WRONG = [
    ("check_normalise", lambda p, m, s: normalise(p, m, s) * torch.tensor(s)[:, None, None], "left out std"),
    ("check_normalise", lambda p, m, s: normalise(p[..., ::-1], m, s), "red and blue"),
    ("check_normalise", lambda p, m, s: normalise(p, m, s).permute(0, 2, 3, 1), "channels come second"),
    ("check_normalise", lambda p, m, s: normalise(p, (0, 0, 0), (1, 1, 1)), "left out mean and std"),
    ("check_normalise", lambda p, m, s: normalise(p, m, s).mT, "height and width"),
    ("check_normalise", lambda p, m, s: normalise(p, (0.485, 0.456, 0.406), s), "a number is off"),
    ("check_normalise", lambda p, m, s: "three channels", "must return a tensor"),
    ("check_normalise", lambda p, m, s: normalise(p, m, s) + 1, "a number is off by 1"),
    ("check_convolve", lambda p, k: convolve(p, k.flip(1, 2)), "turned the kernel round"),
    ("check_convolve", lambda p, k: convolve(p, k.mT), "rows and columns"),
    ("check_convolve", lambda p, k: convolve(p[:, :, : p.shape[1]], k), "shape (3, 7), got (3, 3)"),
    ("check_convolve", lambda p, k: convolve(p[:3], k[:3]), "a number is off"),
    ("check_convolve", lambda p, k: torch.zeros(2), "shape (5, 5), got (2,)"),
    ("check_convolve", lambda p, k: torch.nn.functional.conv2d(p[None], k[None], padding=1)[0, 0], "no padding here"),
    (
        "check_convolve",
        lambda p, k: torch.nn.functional.conv2d(p[None], k[:, None], groups=3)[0],
        "add up over channels",
    ),
    ("check_iou", unclamped_iou, "clamp at 0"),
    ("check_iou", counted_twice, "counted twice"),
    ("check_iou", lambda a, b: box_iou(b, a), "turned round"),
    ("check_iou", lambda a, b: None, "is there a `return`?"),
    ("check_iou", lambda a, b: box_iou(a, b) * (1 - torch.eye(6, 4)), "a number is off by"),
    ("check_iou", lambda a, b: box_iou(a, b) * (box_iou(a, b) < 1), "a number is off by"),
    ("check_suppress", lambda b, s, t: s.argsort(descending=True), "nothing was suppressed"),
    ("check_suppress", lambda b, s, t: non_maximum_suppression(b, s, 0.5), "the threshold is given"),
    ("check_suppress", suppressed_by_any, "a box that has gone"),
    ("check_suppress", lambda *given: non_maximum_suppression(*given).sort().values, "best first"),
    ("check_suppress", lambda b, s, t: b[non_maximum_suppression(b, s, t)], "not the boxes"),
    ("check_suppress", lambda b, s, t: s.argsort(), "wanted"),
    ("check_pool_region", lambda *given: pool(*given, aligned=False), "half a cell"),
    ("check_pool_region", lambda f, b, n: pool(f, b, 3), "shape (2, 2, 2), got (2, 3, 3)"),
    ("check_pool_region", lambda f, b, n: pool(f.mT, b, n), "a number is off"),
    ("check_pool_region", lambda *given: pool(*given, rounded=True), "rounded the box"),
    ("check_pool_region", lambda *given: pool(*given, samples=1), "one is not enough"),
    ("check_pool_region", lambda *given: pool(*given).mT, "rows and columns"),
    ("check_pool_region", lambda f, b, n: pool(f, b, n + 1), "wanted"),
    ("check_top_regions", lambda b, s, n: top(b, s, n + 1), "is one of the count"),
    ("check_top_regions", lambda b, s, n: top(b, s, n + 1)[1:], "is missing"),
    ("check_top_regions", lambda b, s, n: top(b, s, 5)[:n], "shape (8, 4), got (5, 4)"),
    ("check_top_regions", lambda b, s, n: top(b, s, n).roll(-1, 0), "comes first, not last"),
    ("check_top_regions", lambda b, s, n: top(b, -s, n), "the whole picture, then the best"),
    (
        "check_top_regions",
        lambda b, s, n: torch.cat([top(b, s, 1), b[s.argsort(descending=True)[: n - 1]]]),
        "crowd out",
    ),
]
