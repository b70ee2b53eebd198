"""Figures that others published, to stand beside those measured here: always with the CNN, and where they were read.

Numbers of different CNNs, regions and data do not compare as those of one experiment do: they say how far away one is.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Published:
    """One line of a published table.

    Attributes:
        system: what it is called.
        dataset: what it was measured on, on the usual test split.
        backbone: its CNN.
        regions: what it looks at.
        source: where the figures stand.
        metrics: under the keys of `results/`; rates and BLEU in percent.
    """

    system: str
    dataset: str
    backbone: str
    regions: str
    source: str
    metrics: dict[str, float] = field(default_factory=dict)


RANKS = tuple(f"{item}_{rank}" for item in ("sentence", "image") for rank in ("r@1", "r@5", "r@10", "median_rank"))
RECALLS = tuple(key for key in RANKS if "r@" in key)
BLEU = ("bleu_1", "bleu_2", "bleu_3", "bleu_4")

DVSA = "Karpathy and Fei-Fei 2015, tables 1 to 3"
NIC = "Vinyals et al. 2015, Show and Tell"
ATTEND = "Xu et al. 2015, Show, Attend and Tell"
RCNN = "R-CNN (AlexNet)"
TOP = "best 19 and the whole picture"
WHOLE = "whole picture only"


def _ranks(*values: float) -> dict[str, float]:
    return dict(zip(RANKS, values, strict=True))


def _bleu(*values: float, **more: float) -> dict[str, float]:
    return dict(zip(BLEU, values, strict=False)) | more


PUBLISHED = (
    Published("the paper", "flickr8k", RCNN, TOP, DVSA, _ranks(16.5, 40.6, 54.2, 7.6, 11.8, 32.1, 44.7, 12.4)),
    Published(
        *("Deep Fragments", "flickr8k", RCNN, TOP, "Karpathy et al. 2014, as printed in Karpathy and Fei-Fei 2015"),
        _ranks(12.6, 32.9, 44.0, 14, 9.7, 29.6, 42.5, 15),
    ),
    Published("the paper", "flickr30k", RCNN, TOP, DVSA, _ranks(22.2, 48.2, 61.4, 4.8, 15.2, 37.7, 50.5, 9.2)),
    Published("the paper", "coco, 1,000 pictures", RCNN, TOP, DVSA, _ranks(38.4, 69.9, 80.5, 1, 27.4, 60.2, 74.8, 3)),
    Published("the paper", "coco, 5,000 pictures", RCNN, TOP, DVSA, _ranks(16.5, 39.2, 52.0, 9, 10.7, 29.6, 42.2, 14)),
    Published(
        *("VSE++", "flickr30k", "ResNet-152, fine-tuned", WHOLE, "Faghri et al. 2018"),
        dict(zip(RECALLS, (52.9, 80.5, 87.2, 39.6, 70.1, 79.5), strict=True)),
    ),
    Published(
        *("SCAN, ensemble", "flickr30k", "Faster R-CNN (ResNet-101)", "36 detections", "Lee et al. 2018"),
        dict(zip(RECALLS, (67.4, 90.3, 95.8, 48.6, 77.7, 85.2), strict=True)),
    ),
    Published("the paper", "flickr8k", "VGGNet", WHOLE, DVSA, _bleu(57.9, 38.3, 24.5, 16.0)),
    Published("Google NIC", "flickr8k", "GoogLeNet", WHOLE, NIC, _bleu(63, 41, 27)),
    Published("soft attention", "flickr8k", "VGGNet", "14 x 14 cells", ATTEND, _bleu(67, 44.8, 29.9, 19.5)),
    Published("the paper", "flickr30k", "VGGNet", WHOLE, DVSA, _bleu(57.3, 36.9, 24.0, 15.7)),
    Published("the paper", "coco", "VGGNet", WHOLE, DVSA, _bleu(62.5, 45.0, 32.1, 23.0, meteor=19.5, cider=66.0)),
    Published("the paper, nearest neighbour", "coco", "VGGNet", WHOLE, DVSA, _bleu(48.0, 28.1, 16.6, 10.0)),
    Published("the paper, region model", "coco regions", "VGGNet", "true boxes", DVSA, _bleu(35.2, 23.0, 16.1, 14.8)),
    Published("the paper, full-frame model", "coco regions", "VGGNet", "true boxes", DVSA, _bleu(14.2, 6.0, 2.2, 0)),
    Published("the paper, nearest neighbour", "coco regions", "VGGNet", "true boxes", DVSA, _bleu(22.9, 10.5, 0, 0)),
    Published("the paper, people", "coco regions", "none", "true boxes", DVSA, _bleu(61.5, 45.2, 30.1, 22.0)),
)


def published(keys: tuple[str, ...], *datasets: str) -> list[Published]:
    """Published lines on these data sets (all without any) that have one of these metrics."""
    return [
        line
        for line in PUBLISHED
        if (not datasets or line.dataset in datasets) and any(key in line.metrics for key in keys)
    ]
