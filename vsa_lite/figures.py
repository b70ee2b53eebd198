"""Figures in one visual language: legible in a light and in a dark page, with any colour vision, and in words.

Every function returns a `Picture`: a matplotlib figure that shows itself in a notebook or a built page together with
its text alternative, and with a caption beneath if it has one. None of them touches pyplot or the reader's settings;
`use_style` gives one's own plots the same look.
"""

from __future__ import annotations

import base64
import html
import io
import math
import os
import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from cycler import cycler
from jaxtyping import Float, Int
from matplotlib import rc_context, rcParams
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from PIL import Image, features
from torch import Tensor

from vsa_lite.labels import fill, ink, line_height, outline, picture_above, pill, place_labels, wrap_words, write_under
from vsa_lite.viewer import COLOURS, NEUTRAL, place, region_colours, segments_in_words

if TYPE_CHECKING:
    from vsa_lite.training import History

RESOLUTION = 144  # dots an inch
COLUMN = 7.3  # inches of a page: a wider figure is shown smaller, its text too
LARGE = 80_000  # bytes of a PNG; few plots are larger
STYLE: dict[str, Any] = {
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": NEUTRAL,
    "axes.labelcolor": NEUTRAL,
    "axes.edgecolor": NEUTRAL,
    "axes.titlecolor": NEUTRAL,
    "xtick.color": NEUTRAL,
    "ytick.color": NEUTRAL,
    "legend.frameon": False,
    "grid.color": NEUTRAL,
    "grid.alpha": 0.25,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "font.size": 10,
    "lines.linewidth": 2,
    # line styles too, for readers and printers without colour
    "axes.prop_cycle": cycler(color=COLOURS)
    + cycler(linestyle=list(islice(cycle(("-", "--", "-.", ":")), len(COLOURS)))),
}
DIRECTIONS = {"sentence": "finding the sentence, from the picture", "image": "finding the picture, from the sentence"}


def use_style() -> None:
    """Give all later matplotlib figures the look of this book (changes matplotlib's settings of this session)."""
    rcParams.update(STYLE)


def _for_page(png: bytes) -> tuple[str, bytes]:
    """A figure's format and bytes: a large one with photographs is WebP, which looks the same and is a half to a tenth.

    Plots stay PNG, exact.
    """
    if len(png) > LARGE and features.check("webp"):
        buffer = io.BytesIO()
        Image.open(io.BytesIO(png)).save(buffer, "webp", quality=90)
        if 2 * len(webp := buffer.getvalue()) < len(png):
            return "webp", webp
    return "png", png


class Picture(Figure):
    """A matplotlib figure with a text alternative; shows itself as one `<img>`, transparent and sharp.

    Attributes:
        alt: what it says, for people who do not see it.
        caption: shown beneath, for all: what to look at; plain text.
    """

    alt: str = ""
    caption: str = ""

    def _repr_html_(self) -> str:
        image, caption = self.image_html(), self.caption_html()
        return f'<figure style="margin:0">{image}{caption}</figure>' if caption else image

    def caption_html(self) -> str:
        """The `<figcaption>`, small and in the page's own colour; nothing without a caption."""
        if not self.caption:
            return ""
        style = f"max-width:max({self._width()}px,24rem);margin:4px 0 0;color:inherit;opacity:.85;text-align:left"
        font = "font-family:inherit;font-size:.875rem;font-weight:inherit;line-height:1.4"
        return f'<figcaption style="{style};{font}">{html.escape(self.caption)}</figcaption>'

    def _width(self) -> int:
        return round(96 * self.get_figwidth())  # CSS pixels

    def image_html(self) -> str:
        """The `<img>` alone."""
        for text in self.findobj(Text):
            if str(text.get_color()) == "black":  # added later, when the style was no longer in force
                text.set_color(NEUTRAL)
        for legend in self.findobj(Legend):
            legend.set_frame_on(False)
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=RESOLUTION, metadata={"Software": None})
        if folder := os.environ.get("VSA_LITE_FIGURES"):
            self._keep(Path(folder), buffer.getvalue())
        form, data = _for_page(buffer.getvalue())
        return (
            f'<img class="dark-light no-scaled-link" width="{self._width()}" '
            f'style="max-width:100%;height:auto;margin:0" alt="{html.escape(self.alt)}" '
            f'src="data:image/{form};base64,{base64.b64encode(data).decode()}">'
        )

    def _keep(self, folder: Path, png: bytes) -> None:
        """Leave the figure in a folder too, under the next free number: for slides."""
        name = folder / f"{1 + len(list(folder.glob('*.png'))):02}"
        name.with_suffix(".png").write_bytes(png)
        name.with_suffix(".txt").write_text("\n".join(filter(None, (self.alt, self.caption))) + "\n", encoding="utf-8")
        self.save_svg(name.with_suffix(".svg"))

    def save_svg(self, path: str | Path, description: str = "") -> None:
        """Write an SVG file, transparent; the same figure gives the same bytes.

        Args:
            path: where to.
            description: noted in the file, where it is not seen.
        """
        with rc_context({**STYLE, "svg.hashsalt": "vsa-lite", "svg.fonttype": "path"}):
            metadata = {"Date": None, "Creator": None, "Description": description or None}
            self.savefig(path, format="svg", metadata=metadata)


def subplots(
    rows: int = 1,
    columns: int = 1,
    *,
    size: tuple[float, float] = (6.4, 3.6),
    alt: str,
    caption: str = "",
    **options: Any,
) -> tuple[Picture, Any]:
    """As matplotlib's `subplots`, in this style and with a text alternative.

    Args:
        rows, columns: of axes.
        size: width and height, inches.
        alt: what the figure says, for people who do not see it.
        caption: beneath the figure: what to look at.
        options: further ones of matplotlib's `Figure.subplots`.
    """
    with rc_context(STYLE):
        picture = Picture(figsize=size, layout="constrained")
        picture.alt, picture.caption = alt, caption
        return picture, picture.subplots(rows, columns, **options)


def show_alignment(
    image: Image.Image,
    boxes: Float[Tensor, "regions 4"] | Float[np.ndarray, "regions 4"],
    words: Sequence[str],
    path: Int[Tensor, " words"] | Sequence[int],
    *,
    width: float = 5.2,
    caption: str = "",
) -> Picture:
    """A picture with the regions that a sentence speaks of, and the sentence beneath in their colours.

    Args:
        image: the picture.
        boxes: of the regions, as shares of the picture's sides, 0 to 1.
        words: the sentence.
        path: the region of each word.
        width: of the figure, inches.
        caption: beneath the figure: what to look at.

    Raises:
        ValueError: if there is not one region a word.
    """
    boxes, path = np.asarray(boxes, dtype=float), [int(region) for region in path]
    if len(path) != len(words) or not words:
        raise ValueError(f"path must have one region a word, {len(words)}, got {len(path)}")
    parts = segments_in_words(words, path)
    colours = region_colours(boxes, [path])
    with rc_context(STYLE):
        picture = Picture(figsize=(width, 1), dpi=100)
        picture.caption = caption
        picture.alt = "; ".join(f"“{text}”: {place(boxes[region])}" for region, text in parts) + "."
        lines = wrap_words(picture, words, path, width)
        height, beneath = width * image.height / image.width, 0.15 + 0.32 * len(lines)
        axes = picture_above(picture, image, height, beneath)
        outline(axes, boxes, colours)
        texts = {region: [text for other, text in parts if other == region] for region in colours}
        labels = {
            r: textwrap.shorten(" / ".join(texts[r]), 30, placeholder=" …") for r in colours if colours[r] != NEUTRAL
        }
        place_labels(axes, boxes, labels, colours)
        for number, line in enumerate(lines):
            y = (beneath - 0.25 - 0.32 * number) / (height + beneath)
            for x, t in line:
                colour = colours[path[t]]
                style = {"fontsize": 11, "color": ink(colour), "bbox": pill(colour), "va": "center"}
                picture.text(x / width, y, words[t], **style)
    return picture


def show_regions(
    image: Image.Image,
    boxes: Float[Tensor, "regions 4"] | Float[np.ndarray, "regions 4"],
    texts: Sequence[str],
    sentence: str = "",
    *,
    width: float = 5.2,
    caption: str = "",
) -> Picture:
    """A picture with regions and what is said about each, and a sentence about all of it beneath.

    Args:
        image: the picture.
        boxes: of the regions, as shares of the picture's sides, 0 to 1.
        texts: one for each region.
        sentence: about the whole picture.
        width: of the figure, inches.
        caption: beneath the figure: what to look at.

    Raises:
        ValueError: if there is not one text a region.
    """
    boxes = np.asarray(boxes, dtype=float).reshape(-1, 4)
    if len(boxes) != len(texts):
        raise ValueError(f"texts must have one entry a region, {len(boxes)}, got {len(texts)}")
    said = [f"“{text}”: {place(box)}" for text, box in zip(texts, boxes, strict=True)]
    colours = {region: COLOURS[region % len(COLOURS)] for region in range(len(boxes))}
    labels = {region: textwrap.shorten(text, 40, placeholder=" …") for region, text in enumerate(texts)}
    with rc_context(STYLE):
        picture = Picture(figsize=(width, 1), dpi=100)
        picture.caption = caption
        picture.alt = "; ".join([f"“{sentence}”"] * bool(sentence) + said or ["A picture"]) + "."
        lines = textwrap.wrap(sentence, round(11.5 * width))
        axes = picture_above(picture, image, width * image.height / image.width, 0.1 + 0.22 * len(lines))
        outline(axes, boxes, colours)
        place_labels(axes, boxes, labels, colours)
        picture.text(0.015, 0.02, "\n".join(lines), fontsize=11, fontweight="bold", va="bottom")
    return picture


@rc_context(STYLE)
def show_captions(
    images: Sequence[Image.Image],
    captions: Sequence[str],
    references: Sequence[str] | None = None,
    *,
    columns: int = 3,
    caption: str = "",
) -> Picture:
    """Pictures with the sentences that were written for them, and what a person wrote in italics beneath.

    Args:
        images: the pictures.
        captions: a sentence for each.
        references: for each, what a person wrote.
        columns: of pictures.
        caption: beneath the whole figure: what to look at.

    Raises:
        ValueError: if there is not one caption, and one reference, a picture.
    """
    for name, texts in (("captions", captions), ("references", references)):
        if texts is not None and len(texts) != len(images):
            raise ValueError(f"{name} must have one entry a picture, {len(images)}, got {len(texts)}")
    if not images or columns < 1:
        raise ValueError(f"there must be a picture and a column, got {len(images)} and {columns}")
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    side = min(2.5, COLUMN / columns - 0.2)  # of a picture, inches
    picture = Picture(figsize=(columns * (side + 0.2), 1))
    picture.alt = "; ".join(f"picture {n}: “{text}”" for n, text in enumerate(captions, 1)) + "."
    picture.caption = caption
    styles = [{"fontsize": 10, "fontweight": "bold"}, {"fontsize": 9, "fontstyle": "italic"}]
    written = [[fill(picture, text, side + 0.1, **styles[0]) for text in captions]]
    written += [[fill(picture, text, side + 0.1, **styles[1]) for text in references]] if references is not None else []
    tall, beneath = [], []  # of each row, inches: its pictures, and their texts
    for row in range(rows):
        own = slice(row * columns, (row + 1) * columns)
        tall.append(max(side * min(1, image.height / image.width) for image in images[own]))
        lines = [max(text.count("\n") + 1 for text in texts[own]) for texts in written]
        beneath.append((20 + sum(line_height(style) * n for style, n in zip(styles, lines, strict=False))) / 72)
    height = sum(tall) + sum(beneath)
    picture.set_size_inches(columns * (side + 0.2), height)
    axes = picture.subplots(rows, columns, squeeze=False)
    for n, ax in enumerate(axes.flat):
        row, column = divmod(n, columns)
        bottom = height - sum(tall[: row + 1]) - sum(beneath[:row])
        ax.set_position((column / columns, bottom / height, side / (side + 0.2) / columns, tall[row] / height))
        ax.axis("off")
        if n < len(images):
            ax.imshow(images[n].convert("RGB"))
            ax.set_anchor("NW")
            write_under(ax, [texts[n] for texts in written], styles)
    return picture


@rc_context(STYLE)
def training_curve(history: History, metrics: Sequence[str] = (), *, caption: str = "") -> Picture:
    """The loss of every epoch, and beside it metrics on the validation split; a thin line marks the best epoch.

    Args:
        history: what `vsa_lite.training.train` returned.
        metrics: keys of its epochs, all in one unit.
        caption: beneath the figure: what to look at.

    Raises:
        ValueError: for a history without an epoch, or a metric that it lacks.
    """
    if not history.epochs:
        raise ValueError("the history has no epoch yet")
    for metric in metrics:
        if metric not in history.epochs[0]:
            raise ValueError(f"the history has no {metric!r}; it has {', '.join(history.epochs[0])}")
    epochs = range(1, len(history.epochs) + 1)
    first, last = history.epochs[0], history.epochs[-1]
    alt = "; ".join(f"{key} goes from {first[key]:.4g} to {last[key]:.4g}" for key in ("loss", *metrics))
    panels = 2 if metrics else 1
    alt = f"Training over {len(epochs)} epochs: {alt}."
    picture, axes = subplots(1, panels, size=(4.2 * panels, 3), alt=alt, caption=caption, squeeze=False)
    axes[0, 0].plot(epochs, [entry["loss"] for entry in history.epochs], marker="o", markersize=4)
    axes[0, 0].set(title="loss, mean of an epoch", xlabel="epoch", ylabel="loss")
    if metrics:
        for metric in metrics:
            values = [entry[metric] for entry in history.epochs]
            axes[0, 1].plot(epochs, values, marker="o", markersize=4, label=metric.replace("_", " "))
        axes[0, 1].set(title="validation", xlabel="epoch")
        axes[0, 1].legend()
    for ax in axes.flat:
        ax.xaxis.get_major_locator().set_params(integer=True)
        if history.best_epoch is not None:
            ax.axvline(history.best_epoch + 1, color=NEUTRAL, linewidth=1, linestyle=":")
    return picture


@rc_context(STYLE)
def recall_bars(
    runs: Sequence[Mapping[str, Any]], paper: Mapping[str, float] | None = None, *, caption: str = ""
) -> Picture:
    """Recall at 1, 5 and 10 of measured runs, both ways of searching; runs of one name are seeds, shown as a mean.

    Args:
        runs: of a file in `results/`: each has `what` and `metrics`; recall in percent.
        paper: published figures under the same keys ("sentence_r@1" ...), drawn as dashed lines.
        caption: beneath the figure: what to look at.

    Raises:
        ValueError: if there is no run, or one without recall.
    """
    seeds: dict[str, list[Mapping[str, float]]] = {}
    for run in runs:
        if "sentence_r@1" not in run["metrics"]:
            raise ValueError(f"run {run['what']!r} has no recall; it has {', '.join(run['metrics'])}")
        seeds.setdefault(run["what"], []).append(run["metrics"])
    if not seeds:
        raise ValueError("there is no run to show")
    alt, thickness = [], 0.8 / len(seeds)
    picture, axes = subplots(1, 2, size=(8.4, 3.4), alt="", caption=caption, sharey=True)
    for ax, (direction, title) in zip(axes, DIRECTIONS.items(), strict=True):
        keys = [f"{direction}_r@{k}" for k in (1, 5, 10)]
        for n, (what, metrics) in enumerate(seeds.items()):
            values = np.array([[one[key] for key in keys] for one in metrics])  # (seeds, 3)
            mean = values.mean(0)
            spread = np.stack([mean - values.min(0), values.max(0) - mean]).clip(min=0) if len(values) > 1 else None
            x = np.arange(3) + (n - (len(seeds) - 1) / 2) * thickness
            style = {"color": COLOURS[n % len(COLOURS)], "hatch": ("", "///", "...", "xx")[n % 4], "edgecolor": "white"}
            bars = ax.bar(x, mean, 0.92 * thickness, yerr=spread, ecolor=NEUTRAL, label=what, linewidth=0, **style)
            ax.bar_label(bars, fmt="%.1f", fontsize=8, padding=2)
            alt.append(f"{what}, {title}: {', '.join(f'{value:.1f}' for value in mean)}")
        if paper is not None:
            for x, key in enumerate(keys):
                label = "the paper" if x == 0 else None
                ax.hlines(paper[key], x - 0.45, x + 0.45, color=NEUTRAL, linestyle="--", label=label)
            alt.append(f"the paper, {title}: {', '.join(f'{paper[key]:.1f}' for key in keys)}")
        ax.set_xticks(range(3), ["R@1", "R@5", "R@10"])
        ax.set_title(title)
    axes[0].set_ylabel("recall, %")
    axes[0].legend(fontsize=8, loc="upper left")
    picture.alt = "Recall at 1, 5 and 10 in percent. " + "; ".join(alt) + "."
    return picture
