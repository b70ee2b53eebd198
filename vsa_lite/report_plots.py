"""The plots of the results page: one for each results file that is better seen than read."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes

from vsa_lite.figures import COLOURS, DIRECTIONS, NEUTRAL, STYLE, Picture, subplots
from vsa_lite.published import BLEU, RECALLS, Published, published
from vsa_lite.report_tables import TIME, Row, cell, label, rows_of

MARKERS = {1: "o", 5: "s", 10: "^"}
HATCHES = ("", "///", "...", "xx")
MARKS = {
    "grounding_upper_bound": ("any region of the picture", {"marker": "|", "markersize": 16, "markeredgewidth": 3}),
    "grounding_iou50": ("the model", {"marker": "o", "markersize": 8}),
    "grounding_baseline_whole": ("always the whole picture", {"marker": "s", "fillstyle": "none"}),
    "grounding_baseline_largest": ("the largest other region", {"marker": "^", "fillstyle": "none"}),
    "grounding_baseline_random": ("a random region", {"marker": "x"}),
}


def row_names(rows: Sequence[Row]) -> list[str]:
    """A name for each row: what it is, and where that is not enough, its CNN and its regions."""
    names = [row.what for row in rows]
    for key in ("regions", "backbone", "dataset"):
        twice = {name for name in names if names.count(name) > 1}
        names = [
            f"{name}\n{getattr(row, key)}" if name in twice else name for name, row in zip(names, rows, strict=True)
        ]
    return names


def _spread(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


@rc_context(STYLE)
def recall_dots(rows: Sequence[Row], paper: Published | None) -> Picture:
    """Recall at 1, 5 and 10 of every row, both ways of searching; dashed, what the paper reached."""
    names, y = row_names(rows), np.arange(len(rows))
    alt = [f"{name}: {_in_words(row, [f'{d}_r@{k}' for d in DIRECTIONS for k in MARKERS])}" for name, row in _zip(rows)]
    picture, axes = subplots(1, 2, size=(8.4, 1.4 + 0.42 * len(rows)), alt="", sharey=True)
    for ax, (direction, title) in zip(axes, DIRECTIONS.items(), strict=True):
        for n, (k, marker) in enumerate(MARKERS.items()):
            key = f"{direction}_r@{k}"
            means = [row.mean(key) for row in rows]
            spread = [_spread(row.values[key]) for row in rows]
            style = {"color": COLOURS[n], "marker": marker, "linestyle": "none", "label": f"R@{k}"}
            ax.errorbar(means, y, xerr=spread, ecolor=NEUTRAL, **style)
            if paper is not None:
                name = "the paper" if n == 0 else None
                ax.axvline(paper.metrics[key], color=COLOURS[n], linestyle="--", linewidth=1, label=name)
        ax.set(title=title, xlabel="recall, %", xlim=(0, 100))
        ax.grid(axis="x")
    axes[0].set_yticks(y, names)
    axes[0].invert_yaxis()
    picture.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    if paper is not None:
        alt.append(
            f"dashed, the paper: {_published_in_words(paper, [f'{d}_r@{k}' for d in DIRECTIONS for k in MARKERS])}"
        )
    picture.alt = "; ".join(alt) + "."
    return picture


@rc_context(STYLE)
def metric_bars(
    rows: Sequence[Row], keys: Sequence[str], paper: Published | None = None, unit: str = "BLEU, %"
) -> Picture:
    """A group of bars for each metric, a bar in it for each row, thin lines for the spread; dashed, the paper's."""
    names, x, thickness = row_names(rows), np.arange(len(keys)), 0.8 / max(1, len(rows))
    alt = [f"{name}: {_in_words(row, keys)}" for name, row in _zip(rows)]
    picture, ax = subplots(size=(6.8, 3.4), alt="")
    for n, (name, row) in enumerate(zip(names, rows, strict=True)):
        place = x + (n - (len(rows) - 1) / 2) * thickness
        style = {"color": COLOURS[n % len(COLOURS)], "hatch": HATCHES[n % 4], "edgecolor": "white", "linewidth": 0}
        spread = [_spread(row.values[key]) for key in keys]
        error = {"yerr": spread, "ecolor": NEUTRAL} if any(spread) else {}
        ax.bar(place, [row.mean(key) for key in keys], 0.92 * thickness, label=name, **error, **style)
    for n, key in enumerate(keys):
        if paper is not None and key in paper.metrics:
            name = paper.system if n == 0 else None
            ax.hlines(paper.metrics[key], n - 0.45, n + 0.45, color=NEUTRAL, linestyle="--", label=name)
    if paper is not None:
        alt.append(f"dashed, {paper.system}: {_published_in_words(paper, keys)}")
    ax.set_xticks(x, [label(key) for key in keys])
    ax.set_ylabel(unit)
    ax.legend(fontsize=8)
    picture.alt = "; ".join(alt) + "."
    return picture


@rc_context(STYLE)
def row_bars(rows: Sequence[Row], key: str, xlabel: str, note: tuple[str, str] | None = None) -> Picture:
    """A horizontal bar for each row, and its number beside it.

    Args:
        rows: all with the metric.
        key: the metric.
        xlabel: what it is, with its unit.
        note: a metric that is written behind the number, and its unit.
    """
    picture, ax, y = _lines(rows, xlabel)
    spread = [_spread(row.values[key]) for row in rows]
    error = {"xerr": spread, "ecolor": NEUTRAL} if any(spread) else {}
    ax.barh(y, [row.mean(key) for row in rows], 0.6, color=COLOURS[1], **error)
    for at, row in zip(y, rows, strict=True):
        text = cell(row.values[key]) + (f", {cell(row.values.get(note[0]))} {note[1]}" if note else "")
        _beside(ax, at, text)
    picture.alt = "; ".join(f"{name}: {_in_words(row, [key, *(note or [])[:1]])}" for name, row in _zip(rows)) + "."
    return picture


@rc_context(STYLE)
def grounding_dots(rows: Sequence[Row]) -> Picture:
    """How many phrases found their things, on a line with what could be found and what is found without looking."""
    picture, ax, y = _lines(rows, "phrases with the right region (IoU ≥ 0.5), %")
    for n, (key, (name, style)) in enumerate(MARKS.items()):
        colour = COLOURS[(0, 1, 3, 2, 6)[n]]
        error = {"xerr": [_spread(row.values[key]) for row in rows], "ecolor": NEUTRAL} if n == 1 else {}
        means = [row.mean(key) for row in rows]
        ax.errorbar(means, y, linestyle="none", color=colour, label=name, **error, **style)
    for at, row in zip(y, rows, strict=True):
        _beside(ax, at, cell(row.values["grounding_iou50"]))
    ax.set_xlim(0, 100)
    picture.legend(loc="outside lower center", ncols=3, fontsize=8)
    picture.alt = "; ".join(f"{name}: {_in_words(row, list(MARKS))}" for name, row in _zip(rows)) + "."
    return picture


def _lines(rows: Sequence[Row], xlabel: str) -> tuple[Picture, Axes, np.ndarray]:
    """Axes with a horizontal line for each row, the first one on top."""
    y = np.arange(len(rows))
    picture, ax = subplots(size=(7.6, 1.3 + 0.46 * len(rows)), alt="")
    ax.set_yticks(y, row_names(rows))
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.grid(axis="x")
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(xlabel)
    return picture, ax, y


def _beside(ax: Axes, y: float, text: str) -> None:
    """A number in a column to the right of the axes, where nothing covers it."""
    place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    ax.annotate(text, (1, y), (6, 0), va="center", fontsize=9, annotation_clip=False, **place)


def _zip(rows: Sequence[Row]) -> list[tuple[str, Row]]:
    return [(name.replace("\n", ", "), row) for name, row in zip(row_names(rows), rows, strict=True)]


def _in_words(row: Row, keys: Sequence[str]) -> str:
    return ", ".join(f"{label(key)} {cell(row.values[key])}" for key in keys if key in row.values)


def _published_in_words(line: Published, keys: Sequence[str]) -> str:
    return ", ".join(f"{label(key)} {line.metrics[key]:.1f}" for key in keys if key in line.metrics)


def _paper(key: str, dataset: str) -> Published:
    return next(line for line in published((key,), dataset) if line.system.startswith("the paper"))


# of each results file, the metrics that a run must have to be in its plot, and what draws it
PLOTS: dict[str, tuple[tuple[str, ...], Callable[[list[Row]], Picture]]] = {
    "flickr8k_alignment": (RECALLS, lambda rows: recall_dots(rows, _paper("sentence_r@1", "flickr8k"))),
    "flickr8k_captions": (BLEU, lambda rows: metric_bars(rows, BLEU, _paper("bleu_1", "flickr8k"))),
    "coco_grounding": (tuple(MARKS), grounding_dots),
    "flickr8k_pipeline": (
        ("peak_memory_gb",),
        lambda rows: row_bars(
            [row for row in rows if row.what.partition(",")[0] != "all"], TIME, "minutes", ("peak_memory_gb", "GB")
        ),
    ),
    "scenes_alignment": (tuple(MARKS), grounding_dots),
    "scenes_captions": (BLEU, lambda rows: metric_bars(rows, BLEU)),
    "scenes_region_captions": (BLEU, lambda rows: metric_bars(rows, BLEU, _paper("bleu_1", "coco regions"))),
    "scenes_regions": (
        ("mean_average_precision",),
        lambda rows: row_bars(rows, "mean_average_precision", "mean average precision, %"),
    ),
}


def plot_of(name: str, runs: list[dict]) -> Picture | None:
    """The plot of a results file; None for a file that has none, or no run with its metrics."""
    if name not in PLOTS:
        return None
    keys, draw = PLOTS[name]
    rows = [row for row in rows_of(runs) if set(keys) <= set(row.values)]
    return draw(rows) if rows else None
