"""Boxes and words drawn on a picture so that both can be read: what `figures` draws alignments with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox
from PIL import Image


def ink(colour: str) -> str:
    """Black or white, whichever is easier to read on a colour.

    Black by number: by name it is matplotlib's default, which `Picture` turns grey, to be read on any page.
    """
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.45 else "white"


def pill(colour: str) -> dict[str, Any]:
    """A rounded box behind a text, for matplotlib's `bbox`."""
    return {"boxstyle": "round,pad=0.25", "facecolor": colour, "edgecolor": "none"}


def picture_above(picture: Figure, image: Image.Image, height: float, beneath: float) -> Axes:
    """Axes of the unit square, y downwards, filled by the picture; `beneath` inches are left free under it."""
    picture.set_size_inches(picture.get_figwidth(), height + beneath)
    axes = picture.add_axes((0, beneath / (height + beneath), 1, height / (height + beneath)))
    axes.imshow(image.convert("RGB"), extent=(0, 1, 1, 0), aspect="auto")
    axes.axis("off")
    return axes


def outline(axes: Axes, boxes: np.ndarray, colours: Mapping[int, str]) -> None:
    """Draw the boxes of some regions in their colours, with a white line around each."""
    for region, colour in colours.items():
        x0, y0, x1, y1 = boxes[region]
        for line, edge in ((5, "white"), (3, colour)):
            axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, linewidth=line, edgecolor=edge))


def fill(picture: Figure, text: str, width: float, **style: Any) -> str:
    """A text in lines of at most so many inches, as it is drawn in a style; a longer word has a line of its own."""
    renderer = FigureCanvasAgg(picture).get_renderer()

    def inches(line: str) -> float:
        drawn = picture.text(0, 0, line, **style)
        size = drawn.get_window_extent(renderer).width / picture.dpi
        drawn.remove()
        return size

    lines: list[str] = []
    for word in text.split():
        if lines and inches(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return "\n".join(lines)


def line_height(style: Mapping[str, Any]) -> float:
    """Points from one line of a text to the next."""
    return 1.4 * style["fontsize"]


def write_under(axes: Axes, texts: Sequence[str], styles: Sequence[Mapping[str, Any]]) -> None:
    """Texts under a picture, one below the other, each in its style."""
    down = 6.0
    for text, style in zip(texts, styles, strict=False):
        axes.annotate(
            text, (0, 0), (0, -down), "axes fraction", "offset points", annotation_clip=False, va="top", **style
        )
        down += line_height(style) * (text.count("\n") + 1)


def wrap_words(
    picture: Figure, words: Sequence[str], path: Sequence[int], width: float
) -> list[list[tuple[float, int]]]:
    """Lines of (position in inches, word number): words of one segment stand close, segments apart."""
    renderer = FigureCanvasAgg(picture).get_renderer()
    lines: list[list[tuple[float, int]]] = [[]]
    x = 0.08
    for t, word in enumerate(words):
        text = picture.text(0, 0, word, fontsize=11)
        size = text.get_window_extent(renderer).width / picture.dpi
        text.remove()
        if lines[-1] and x + size > width - 0.08:
            lines.append([])
            x = 0.08
        lines[-1].append((x, t))
        ends = t + 1 < len(words) and path[t + 1] != path[t]
        x += size + (0.2 if ends else 0.1)
    return lines


def place_labels(axes: Axes, boxes: np.ndarray, labels: Mapping[int, str], colours: Mapping[int, str]) -> None:
    """Write each label at the corner of its box where it covers the fewest other labels, inside the picture."""
    renderer = FigureCanvasAgg(axes.figure).get_renderer()
    frame = axes.get_window_extent(renderer)
    taken: list[Bbox] = []
    for region, label in labels.items():
        text = axes.text(0, 0, label, fontsize=9, color=ink(colours[region]), bbox=pill(colours[region]), va="top")
        extent = text.get_window_extent(renderer)
        w, h = (extent.width + 8) / frame.width, (extent.height + 8) / frame.height
        x0, y0, x1, y1 = boxes[region]
        corners = [(x, y) for y in (y0, y0 - h, y1 - h, y1) for x in (x0, x1 - w)]
        corners = [(min(max(x, 0), 1 - w), min(max(y, 0), 1 - h)) for x, y in corners]
        covered = [sum(_overlap(Bbox.from_bounds(x, y, w, h), other) for other in taken) for x, y in corners]
        x, y = corners[int(np.argmin(covered))]
        taken.append(Bbox.from_bounds(x, y, w, h))
        text.set_position((x + 4 / frame.width, y + 4 / frame.height))


def _overlap(a: Bbox, b: Bbox) -> float:
    both = Bbox.intersection(a, b)
    return both.width * both.height if both is not None else 0.0
