"""What the main figures must be: a code change that moves one out of its band has changed the method, or broken it.

Below a band something has stopped working; above it a figure is too good, and the first suspect is test data that
training has seen. Bands hold for the mean over seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

from vsa_lite.report_tables import rows_of


@dataclass(frozen=True)
class Band:
    """What is accepted of one figure.

    Attributes:
        file: results file, without its ending.
        what: the row.
        metric: the figure.
        low, high: least and largest mean over seeds that is accepted.
        why: where the band comes from.
    """

    file: str
    what: str
    metric: str
    low: float
    high: float
    why: str


_ABOVE = "from the paper's figure, of an older CNN, to twice that"
BANDS = (
    Band("flickr8k_alignment", "best", "sentence_r@1", 16.5, 33.0, _ABOVE),
    Band("flickr8k_alignment", "best", "sentence_r@10", 54.2, 80.0, "from the paper's figure to well below certainty"),
    Band("flickr8k_alignment", "best", "image_r@1", 11.8, 23.6, _ABOVE),
    Band("flickr8k_alignment", "best", "image_r@10", 44.7, 75.0, "from the paper's figure to well below certainty"),
    Band("flickr8k_alignment", "printed", "sentence_r@1", 0.5, 5.0, "five times chance at least: it learns, if little"),
    Band("flickr8k_captions", "rnn, beam 7", "bleu_1", 55.0, 63.0, "the paper's figure, and a spread of seeds"),
    Band(
        "flickr8k_captions", "rnn, beam 7", "bleu_4", 15.0, 20.0, "from below the paper's figure to what attention adds"
    ),
    Band(
        "scenes_alignment",
        "best region of the phrase",
        "grounding_iou50",
        80.0,
        97.6,
        "up to what the best choice of regions could reach",
    ),
    Band(
        "scenes_region_captions",
        "region model",
        "bleu_1",
        60.0,
        80.0,
        "phrases of a small vocabulary: many right, not all",
    ),
)


def judged(results: dict[str, list[dict]]) -> list[tuple[Band, float]]:
    """Every band whose figure has been measured, with the mean over its seeds."""
    found = []
    for band in BANDS:
        for row in rows_of(results.get(band.file, [])):
            if row.what == band.what and band.metric in row.values:
                found.append((band, row.mean(band.metric)))
    return found
