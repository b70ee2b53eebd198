"""Usual mistakes: each is handed in, by itself, in place of the function whose name it has before `__`."""

import math

import torch


def mirror__sides_not_exchanged(boxes):
    x0, y0, x1, y1 = boxes.unbind(1)
    return torch.stack([1 - x0, y0, 1 - x1, y1], 1)


def mirror__upside_down(boxes):
    x0, y0, x1, y1 = boxes.unbind(1)
    return torch.stack([x0, 1 - y1, x1, 1 - y0], 1)


def mirror__in_place(boxes):
    boxes[:, [0, 2]] = 1 - boxes[:, [2, 0]]
    return boxes


def generalised_iou__plain_iou(a, b):
    both = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    return both / ((a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - both)


def generalised_iou__not_clamped(a, b):
    both = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - both
    around = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    return both / union - (around - union) / around


def generalised_iou__divided_by_the_union(a, b):
    both = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - both
    around = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    return both / union - (around - union) / union


def generalised_iou__corners_into_sides(a, b):
    both = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    around = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    for boxes in (a, b):
        boxes[:, 2:] -= boxes[:, :2]
    union = a[:, 2:].prod(1) + b[:, 2:].prod(1) - both
    return both / union - (around - union) / around


def decode_boxes__sides_not_exponential(windows, offsets):
    sides = windows[:, 2:] - windows[:, :2]
    centre = (windows[:, :2] + windows[:, 2:]) / 2 + sides * offsets[:, :2]
    half = sides * offsets[:, 2:] / 2
    return torch.cat([centre - half, centre + half], 1)


def decode_boxes__offsets_not_scaled(windows, offsets):
    centre = (windows[:, :2] + windows[:, 2:]) / 2 + offsets[:, :2]
    half = (windows[:, 2:] - windows[:, :2]) * offsets[:, 2:].exp() / 2
    return torch.cat([centre - half, centre + half], 1)


def decode_boxes__corner_for_centre(windows, offsets):
    sides = windows[:, 2:] - windows[:, :2]
    corner = windows[:, :2] + sides * offsets[:, :2]
    return torch.cat([corner, corner + sides * offsets[:, 2:].exp()], 1)


def decode_boxes__exp_in_place(windows, offsets):
    sides = windows[:, 2:] - windows[:, :2]
    centre = (windows[:, :2] + windows[:, 2:]) / 2 + sides * offsets[:, :2]
    half = sides * offsets[:, 2:].exp_() / 2
    return torch.cat([centre - half, centre + half], 1)


def voted_boxes__plain_mean(boxes, scores, overlap, kept, threshold):
    near = (overlap[kept] >= threshold).float()
    return near @ boxes / near.sum(1, keepdim=True)


def voted_boxes__above_the_threshold(boxes, scores, overlap, kept, threshold):
    weights = scores * (overlap[kept] > threshold)
    return weights @ boxes / weights.sum(1, keepdim=True)


def voted_boxes__not_divided(boxes, scores, overlap, kept, threshold):
    return (scores * (overlap[kept] >= threshold)) @ boxes


def voted_boxes__all_of_them(boxes, scores, overlap, kept, threshold):
    weights = scores * (overlap >= threshold)
    return weights @ boxes / weights.sum(1, keepdim=True)


def voted_boxes__table_overwritten(boxes, scores, overlap, kept, threshold):
    overlap[overlap < threshold] = 0
    weights = scores * (overlap[kept] > 0)
    return weights @ boxes / weights.sum(1, keepdim=True)


def average_precision__by_those_found(scores, right, things):
    hits = right[scores.argsort(descending=True)].double()
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / max(1, int(hits.sum())))


def average_precision__not_sorted(scores, right, things):
    hits = right.double()
    return float((hits.cumsum(0) / torch.arange(1, len(hits) + 1) * hits).sum() / things)


def average_precision__at_every_rank(scores, right, things):
    hits = right[scores.argsort(descending=True)].double()
    return float((hits.cumsum(0) / torch.arange(1, len(hits) + 1)).sum() / things)


def average_precision__logarithm(scores, right, things):
    hits = right[scores.argsort(descending=True)].double()
    return math.log1p(float((hits.cumsum(0) / torch.arange(1, len(hits) + 1) * hits).sum() / things))


def average_precision__scores_overwritten(scores, right, things):
    found, total = 0, 0.0
    for rank in range(1, len(scores) + 1):
        best = int(scores.argmax())
        scores[best] = -torch.inf
        if right[best]:
            found += 1
            total += found / rank
    return total / things
