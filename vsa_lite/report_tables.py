"""Tables of measured runs in Markdown: seeds become mean ± spread, published figures stand beside them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from vsa_lite.published import Published

Run = dict[str, Any]
SAME = ("what", "dataset", "split", "backbone", "regions")  # equal in these, runs are seeds of one row

RANKING = {
    f"{item}_{key}": f"{item} {label}"
    for item in ("sentence", "image")
    for key, label in (("r@1", "R@1"), ("r@5", "R@5"), ("r@10", "R@10"), ("median_rank", "median"))
}
CAPTIONS = {
    "bleu_1": "BLEU-1",
    "bleu_2": "BLEU-2",
    "bleu_3": "BLEU-3",
    "bleu_4": "BLEU-4",
    "cider": "CIDEr",
    "rouge_l": "ROUGE-L",
    "meteor": "METEOR",
    "novel_share": "not in training",
    "distinct": "distinct",
    "mean_length": "words",
    "perplexity": "perplexity",
}
GROUNDING = {
    "attention_mass": "attention on the thing",
    "attention_mass_first": "before revision",
    "found_again_mass": "word found again, on the thing",
    "found_again_iou50": "found again, IoU ≥ 0.5",
    "grounding_iou50": "IoU ≥ 0.5",
    "grounding_upper_bound": "upper bound",
    "grounding_baseline_whole": "whole picture",
    "grounding_baseline_largest": "largest region",
    "grounding_baseline_random": "random region",
    "grounding_pointing": "pointing",
    "grounding_pointing_centre": "pointing, centre",
    "grounding_mean_iou": "mean IoU",
    "grounding_area": "its share of the picture",
    "grounding_area_true": "the thing's share",
    "grounding_phrases": "phrases",
    "grounding_unknown_phrases": "unknown",
}
DETECTION = {
    "mean_average_precision": "mean average precision",
    "proposal_upper_bound": "things with a region",
    "region_accuracy": "regions named right",
    "classification_accuracy": "single things named right",
}
MANY = {
    "recall_at_10": "recall@10 of exact",
    "speed_up": "times as fast",
    "speed_up_busy": "by processor time",
    "speed_up_on_a_batch": "against a batch",
    "median_ms": "ms a query",
    "p90_ms": "90th percentile",
    "exact_ms": "exact, ms",
    "exact_ms_in_a_batch": "exact in a batch, ms",
    "index_seconds": "index, s",
    "candidates_mb": "candidates, MB",
    "vectors_mb": "vectors, MB",
    "memory_mb": "memory, MB",
}
COMPRESSED = {
    "bytes_a_region": "bytes a region",
    "times_smaller": "times smaller",
    "recall_by_codes": "recall@10 by codes alone",
    "recall_of_100": "best 100 ranked again",
    "lost_energy": "energy lost",
}
STREAMED = {
    "steps_a_second": "steps a second",
    "share_of_the_small_stores_rate": "% of the small store's rate",
    "own_memory_mb": "own memory, MB",
    "store_gb": "store, GB",
}
SITE = {"pages": "pages", "site_mb": "all files, MB", "largest_page_mb": "largest page, MB"}
GROUPS = {
    "Searching": RANKING,
    "Grounding": GROUNDING,
    "Captions": CAPTIONS,
    "Detection": DETECTION,
    "Candidates": MANY,
    "Compressed vectors": COMPRESSED,
    "Streamed features": STREAMED,
    "The built site": SITE,
}
TIME = "minutes"
# digits behind the point, where one says too little, or what is counted has none
DIGITS = {"gamma": 3, "million_parameters": 2, "equations": 0, "figures": 0, "exercises": 0, "checks": 0, "widgets": 0}
DIGITS |= {"pages": 0, "grounding_phrases": 0, "grounding_unknown_phrases": 0, "right_answers": 0, "right_accepted": 0}
DIGITS |= {"mistakes": 0, "mistakes_rejected": 0, "submissions": 0, "graded_as_due": 0}
NAMES = {"mobilenet_v2_tf:load": "MobileNetV2", "region_cnn": "region CNN"}  # as people call them


@dataclass(frozen=True)
class Row:
    """Runs that differ in their seed only, or a published line.

    Attributes:
        what, dataset, split, backbone, regions: as in the results file.
        values: of each metric, one a seed.
        published: whether others measured it.
    """

    what: str
    dataset: str
    split: str
    backbone: str
    regions: str
    values: dict[str, list[float]] = field(default_factory=dict)
    published: bool = False

    def mean(self, key: str) -> float:
        """Mean over the seeds."""
        return statistics.fmean(self.values[key])


def rows_of(runs: Iterable[Run]) -> list[Row]:
    """Runs as rows, in the order of their first seed; the time that a run took is one of the values."""
    rows: dict[tuple[str, ...], Row] = {}
    for run in runs:
        name = tuple(NAMES.get(str(run[key]), str(run[key])) for key in SAME)
        row = rows.setdefault(name, Row(*name))
        for key, value in ({TIME: run["seconds"] / 60} | run["metrics"]).items():
            row.values.setdefault(key, []).append(value)
    return list(rows.values())


def published_rows(lines: Iterable[Published]) -> list[Row]:
    """Published lines as rows."""
    return [
        Row(
            line.system,
            line.dataset,
            "test",
            line.backbone,
            line.regions,
            {key: [value] for key, value in line.metrics.items()},
            published=True,
        )
        for line in lines
    ]


def number(value: float, digits: int = 1) -> str:
    """A measured number in so many digits as are worth reading."""
    whole = abs(value) >= 1000 or (abs(value) > 100 and float(value).is_integer())
    return f"{value:,.0f}" if whole else f"{value:.{digits}f}"


def cell(values: Sequence[float] | None, digits: int = 1) -> str:
    """Mean, and with several seeds the sample standard deviation behind it; a dash where nothing was measured."""
    if not values:
        return "–"
    mean = statistics.fmean(values)
    if len(set(values)) == 1:
        return number(mean, digits)
    return f"{number(mean, digits)} ± {number(statistics.stdev(values), digits)}"


def label(key: str) -> str:
    """A metric's name for people."""
    for group in GROUPS.values():
        if key in group:
            return group[key]
    return "peak memory, GB" if key == "peak_memory_gb" else key.replace("_", " ")


def escape(text: str) -> str:
    """Text as it is, in a Markdown table."""
    for sign in "\\`*_{}[]<>|$#~":
        text = text.replace(sign, f"\\{sign}")
    return text


def markdown_table(rows: Sequence[Row], keys: Sequence[str], hide: Sequence[str] = ()) -> list[str]:
    """Lines of a table: a row's name, its metrics, and what else tells it from others; published rows in italics.

    Args:
        rows: in order.
        keys: the metrics that are columns.
        hide: of dataset, split, backbone and regions, what is not to be a column.
    """
    columns = [name for name in ("dataset", "split", "backbone", "regions") if name not in hide]
    titles = {"dataset": "data", "split": "split", "backbone": "CNN", "regions": "regions"}
    several = any(len(values) > 1 for row in rows for values in row.values.values())
    numbers = [*(label(key) for key in keys), *(["seeds"] if several else [])]
    header = ["", *numbers, *(titles[name] for name in columns)]  # the long texts last, where they hide no number
    lines = ["| " + " | ".join(header) + " |", "|---|" + "--:|" * len(numbers) + "---|" * len(columns)]
    for row in rows:
        name = escape(row.what)
        cells = [f"*{name}*" if row.published else name]
        cells += [cell(row.values.get(key), DIGITS.get(key, 1)) for key in keys]
        if several:
            cells.append("–" if row.published else str(max(map(len, row.values.values()))))
        cells += [escape(getattr(row, column)) for column in columns]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def same_everywhere(rows: Sequence[Row]) -> list[str]:
    """Which of data, split, CNN and regions have one value in all rows and are better said once."""
    return [
        name for name in ("dataset", "split", "backbone", "regions") if len({getattr(row, name) for row in rows}) == 1
    ]


def keys_by_group(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The metrics that some row has, by group, in the groups' order; what belongs to none is in "More"."""
    there = list(dict.fromkeys(key for row in rows for key in row.values))
    found = {name: [key for key in group if key in there] for name, group in GROUPS.items()}
    known = {key for group in GROUPS.values() for key in group} | {TIME}
    found["More"] = [key for key in there if key not in known]
    return {name: keys for name, keys in found.items() if keys}
