"""Training the region CNN: pretrain on single things, fine-tune on windows of scenes, measure both (chapter 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from PIL import Image
from torch import Tensor, nn
from tqdm.auto import tqdm

from vsa_lite.data.records import Dataset
from vsa_lite.regions.backbones import Transform
from vsa_lite.regions.boxes import WHOLE_PICTURE, box_area, box_iou
from vsa_lite.regions.proposals import Proposals
from vsa_lite.regions.region_cnn import BACKGROUND, WINDOWS, RegionCNN, box_moves, check_pictures, detect

POSITIVE_IOU = 0.5  # a window shows a thing from here on
REFINED_IOU = 0.3  # windows from here on learn to move onto their thing


def load_pictures(images: Iterable[Image.Image], size: int) -> np.ndarray:
    """Pictures in memory, squashed to squares: uint8 [n, size, size, 3] (150 kB each at 224)."""
    transform = Transform(size)
    return np.stack([transform.pixels(image) for image in images])


def thing_boxes(dataset: Dataset, kinds: Sequence[str]) -> tuple[Float[Tensor, "n things 4"], Int[Tensor, "n things"]]:
    """True boxes and classes of a data set's things; class 0 (background) where padded, kinds from 1.

    Raises:
        ValueError: for a record without boxes, or a thing of another kind.
    """
    most = max((len(record.labels) for record in dataset), default=0)
    boxes, classes = (
        torch.zeros(len(dataset), max(1, most), 4),
        torch.zeros(len(dataset), max(1, most), dtype=torch.int64),
    )
    index = {kind: i for i, kind in enumerate(kinds, start=1)}
    for row, record in enumerate(dataset):
        if record.boxes is None or len(record.boxes) != len(record.labels):
            raise ValueError(f"{dataset.name}: {record.name} needs a box and a label for each thing")
        unknown = [label for label in record.labels if label not in index]
        if unknown:
            raise ValueError(f"{dataset.name}: {record.name} shows {unknown[0]!r}, which is none of the kinds")
        boxes[row, : len(record.boxes)] = torch.from_numpy(record.boxes).float()
        classes[row, : len(record.boxes)] = torch.tensor([index[label] for label in record.labels], dtype=torch.int64)
    return boxes, classes


def _train(
    model: RegionCNN,
    loss_of: Callable[[Int[Tensor, " batch"]], Tensor],
    pictures: int,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    generator: torch.Generator,
    what: str,
    progress: bool,
) -> list[float]:
    """AdamW with a short warm-up and a cosine; returns the mean loss of each epoch."""
    for name, value in (("epochs", epochs), ("batch_size", batch_size), ("pictures", pictures)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if learning_rate <= 0:
        raise ValueError(f"learning_rate must be above 0, got {learning_rate}")
    batches = -(-pictures // batch_size)
    optimiser = torch.optim.AdamW(model.parameters(), learning_rate, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, learning_rate, total_steps=max(2, epochs * batches), pct_start=0.15
    )
    losses = []
    model.train()
    with tqdm(total=epochs * batches, desc=what, unit="batch", disable=not progress) as bar:
        for _ in range(epochs):
            epoch = []
            for rows in torch.randperm(pictures, generator=generator).split(batch_size):
                loss = loss_of(rows)
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_value_(model.parameters(), 5.0)
                optimiser.step()
                schedule.step()
                epoch.append(loss.item())
                bar.update()
            losses.append(float(np.mean(epoch)))
            bar.set_postfix(loss=f"{losses[-1]:.3f}")
    model.eval()
    return losses


def mirrored(pictures: np.ndarray, which: Bool[Tensor, " n"]) -> np.ndarray:
    """A copy with some of the pictures turned left to right."""
    return np.where(which.numpy()[:, None, None, None], pictures[:, :, ::-1], pictures)


def pretrain(
    model: RegionCNN,
    pictures: np.ndarray,
    classes: Int[Tensor, " n"],
    generator: torch.Generator,
    epochs: int = 8,
    batch_size: int = 32,
    learning_rate: float = 5e-3,
    progress: bool = True,
) -> list[float]:
    """Learn to name single things, the stand-in for ImageNet: cross entropy over kinds, pictures mirrored at random.

    Args:
        model: trained in place.
        pictures: uint8 [n, side, side, 3], one thing in each.
        classes: the kind of each, from 1.
        generator: of the order and the mirroring.

    Returns:
        The mean loss of each epoch; a model that knows nothing starts near log(kinds + 1).

    Raises:
        ValueError: for pictures or classes of a wrong shape or range, or settings out of range.
    """
    check_pictures(pictures)
    if classes.shape != (len(pictures),) or not len(classes) or classes.min() < 1 or classes.max() > len(model.kinds):
        raise ValueError(f"classes must be one of 1..{len(model.kinds)} for each of the {len(pictures)} pictures")

    def loss_of(rows: Tensor) -> Tensor:
        mirror = torch.rand(len(rows), generator=generator) < 0.5
        logits = model(mirrored(pictures[rows.numpy()], mirror))  # (batch, classes)
        return nn.functional.cross_entropy(logits, classes[rows].to(logits.device))

    return _train(model, loss_of, len(pictures), epochs, batch_size, learning_rate, generator, "pretraining", progress)


def sample_windows(
    windows: Float[Tensor, "w 4"],
    boxes: Float[Tensor, "n things 4"],
    classes: Int[Tensor, "n things"],
    count: int,
    generator: torch.Generator,
    jitters: int = 8,
) -> tuple[Float[Tensor, "n count 4"], Int[Tensor, "n count"], Float[Tensor, "n count 4"], Float[Tensor, "n count"]]:
    """Windows to learn from: a third on things, the rest background, half of it near things.

    Candidates are the sliding windows, the true boxes, and true boxes shaken by up to 30 % of their sides.

    Returns:
        The windows, their classes (0: IoU with every thing below 0.5), the true box nearest to each, and their IoU.
    """
    n, things, _ = boxes.shape
    size = (boxes[..., 2:] - boxes[..., :2]).repeat_interleave(jitters, 1)  # (n, things * jitters, 2)
    noise = torch.rand(n, things * jitters, 4, generator=generator) * 2 - 1
    shaken = boxes.repeat_interleave(jitters, 1) + 0.3 * noise * size.repeat(1, 1, 2)
    candidates = torch.cat([windows.expand(n, -1, 4), boxes, shaken.clamp(0, 1)], 1)  # (n, candidates, 4)
    usable = box_area(candidates) > 0  # padding has no area
    iou = box_iou(candidates, boxes) * (classes != BACKGROUND)[:, None]  # (n, candidates, things)
    iou, nearest = iou.max(2)
    positive = iou >= POSITIVE_IOU
    luck = torch.rand(iou.shape, generator=generator) - 10 * ~usable
    first = (luck + 2.0 * positive).topk(count // 3).indices
    second = (luck - 5.0 * positive + 0.5 * (iou > 0.1)).topk(count - count // 3).indices
    chosen = torch.cat([first, second], 1)  # (n, count)
    iou, nearest, positive = (x.gather(1, chosen) for x in (iou, nearest, positive))
    targets = boxes.gather(1, nearest[..., None].expand(-1, -1, 4))
    found = torch.where(positive, classes.gather(1, nearest), BACKGROUND)
    return candidates.gather(1, chosen[..., None].expand(-1, -1, 4)), found, targets, iou


def fine_tune(
    model: RegionCNN,
    pictures: np.ndarray,
    boxes: Float[Tensor, "n things 4"],
    classes: Int[Tensor, "n things"],
    generator: torch.Generator,
    epochs: int = 6,
    batch_size: int = 4,
    regions: int = 24,
    learning_rate: float = 4e-3,
    progress: bool = True,
) -> list[float]:
    """Learn to tell kinds of things and background in windows of scenes, and to move windows onto things.

    Cross entropy over kinds and background, plus a smooth L1 loss on the moves of windows near a thing.

    Args:
        model: trained in place; its classifier must be for these kinds (:meth:`RegionCNN.fresh_classifier`).
        pictures: uint8 [n, size, size, 3].
        boxes, classes: from :func:`thing_boxes`.
        generator: of the order, the windows and the mirroring.
        regions: windows of each picture in a batch.

    Returns:
        The mean loss of each epoch.

    Raises:
        ValueError: for input of a wrong shape or range.

    Source: Girshick 2015 (Fast R-CNN), with the refinement shared by all kinds.
    """
    check_pictures(pictures)
    if boxes.shape[:2] != classes.shape or len(classes) != len(pictures):
        raise ValueError(
            f"{len(pictures)} pictures need boxes and classes for each, got {tuple(classes.shape)} classes"
        )
    if not len(classes) or classes.min() < 0 or classes.max() > len(model.kinds):
        raise ValueError(f"classes must be in 0..{len(model.kinds)}, 0 for padding")
    windows = WINDOWS.boxes()

    def loss_of(rows: Tensor) -> Tensor:
        mirror = torch.rand(len(rows), generator=generator) < 0.5
        flipped = torch.stack([1 - boxes[rows, :, 2], boxes[rows, :, 1], 1 - boxes[rows, :, 0], boxes[rows, :, 3]], -1)
        true = torch.where(mirror[:, None, None] & (classes[rows] != BACKGROUND)[..., None], flipped, boxes[rows])
        chosen, kinds, targets, iou = sample_windows(windows, true, classes[rows], regions, generator)
        fc7 = model.regions(model.maps(mirrored(pictures[rows.numpy()], mirror)), chosen)  # (batch, regions, d)
        logits = model.classifier(fc7).flatten(0, 1)
        naming = nn.functional.cross_entropy(logits, kinds.flatten().to(logits.device))
        near = iou >= REFINED_IOU
        moves = box_moves(chosen[near], targets[near]).to(logits.device)  # (near, 4)
        moving = nn.functional.smooth_l1_loss(model.refinement(fc7)[near.to(logits.device)], moves, reduction="sum")
        return naming + moving / max(1, 4 * int(near.sum()))

    return _train(model, loss_of, len(pictures), epochs, batch_size, learning_rate, generator, "fine-tuning", progress)


@torch.inference_mode()
def classification_accuracy(model: RegionCNN, pictures: np.ndarray, classes: Int[Tensor, " n"]) -> float:
    """Share of single-thing pictures that are named right, in percent; background is no answer."""
    model.eval()
    rows = torch.arange(len(pictures)).split(64)
    guesses = torch.cat([model(pictures[batch.numpy()])[:, 1:].argmax(1).cpu() + 1 for batch in rows])
    return 100 * (guesses == classes).float().mean().item()


def proposal_upper_bound(
    found: Sequence[Proposals], boxes: Float[Tensor, "n things 4"], things: Bool[Tensor, "n things"]
) -> float:
    """Share of things, in percent, that some proposal or the whole picture has IoU >= 0.5 with: no alignment of words
    with these regions can ground more."""
    whole = torch.tensor([WHOLE_PICTURE])
    best = [
        box_iou(torch.cat([whole, p.boxes]), true[real]).amax(0)
        for p, true, real in zip(found, boxes, things, strict=True)
    ]
    return 100 * float((torch.cat(best) >= 0.5).float().mean())


def average_precision(
    found: Sequence[Proposals], boxes: Float[Tensor, "n things 4"], things: Bool[Tensor, "n things"]
) -> float:
    """Area under precision over recall of one kind's detections, IoU 0.5; the interpolated kind of PASCAL VOC 2010.

    A detection is right if its best-overlapping thing is overlapped by at least 0.5 and was not found before.
    """
    rows = torch.tensor([k for k, p in enumerate(found) for _ in range(len(p))], dtype=torch.int64)
    if not len(rows) or not things.any():
        return 0.0
    order = torch.cat([p.scores for p in found]).argsort(descending=True, stable=True)
    detections, rows = torch.cat([p.boxes for p in found])[order], rows[order]
    iou = box_iou(detections[:, None], boxes[rows])[:, 0] * things[rows]  # (detections, things)
    overlap, thing = iou.max(1)
    right, taken = torch.zeros(len(rows)), set()
    for d, key in enumerate(zip(rows.tolist(), thing.tolist(), strict=True)):
        if overlap[d] >= 0.5 and key not in taken:
            taken.add(key)
            right[d] = 1
    hits = right.cumsum(0)
    recall, precision = hits / things.sum(), hits / torch.arange(1, len(hits) + 1)
    precision = precision.flip(0).cummax(0).values.flip(0)
    return float((precision * recall.diff(prepend=recall.new_zeros(1))).sum())


def detection_metrics(
    model: RegionCNN,
    pictures: np.ndarray,
    boxes: Float[Tensor, "n things 4"],
    classes: Int[Tensor, "n things"],
    count: int = 19,
) -> dict[str, float]:
    """How well the things of scenes are found, in percent.

    Returns:
        `mean_average_precision`: mean over kinds, IoU 0.5; `proposal_upper_bound`: share of things that one of the
        `count` detections or the whole picture has IoU >= 0.5 with; `region_accuracy`: share of true boxes named right.
    """
    found: list[Proposals] = []
    named = []
    for rows in torch.arange(len(pictures)).split(16):
        found += detect(model, pictures[rows.numpy()], count)
        with torch.inference_mode():
            fc7 = model.regions(model.maps(pictures[rows.numpy()]), boxes[rows])
            named.append(model.classifier(fc7)[..., 1:].argmax(-1).cpu() + 1)
    real = classes != BACKGROUND
    precisions = []
    for kind, label in enumerate(model.kinds, start=1):
        if (classes == kind).any():
            chosen = [p.keep(torch.tensor([name == label for name in p.labels], dtype=torch.bool)) for p in found]
            precisions.append(average_precision(chosen, boxes, classes == kind))
    return {
        "mean_average_precision": 100 * float(np.mean(precisions)),
        "proposal_upper_bound": proposal_upper_bound(found, boxes, real),
        "region_accuracy": 100 * float((torch.cat(named)[real] == classes[real]).float().mean()),
    }
