"""The alignment viewer: point at a word, and its region lights up.

A viewer is one piece of plain HTML with its picture, style and script inside. It needs no kernel and no network, so it
works in JupyterLab, in Colab's frame and in a built page; where scripts are not run, it still shows the alignment in
colours, and where HTML is not shown, in words.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor

from vsa_lite.data.records import Record, Sentence
from vsa_lite.regions.boxes import box_iou, check_boxes

# Paul Tol's "vibrant" colours: distinct with any colour vision, and on white as on black
COLOURS = ("#ee7733", "#0077bb", "#009988", "#ee3377", "#33bbee", "#cc3311", "#997700", "#882255")
NEUTRAL = "#7d7d7d"  # the whole picture, and text: legible on white and on black
WHOLE = 0.98  # a region that covers more than this share of the picture is "the whole picture"
LONGEST_SIDE = 720  # pixels; larger pictures are made smaller for the page


def segments_in_words(words: Sequence[str], path: Sequence[int]) -> list[tuple[int, str]]:
    """Maximal runs of words with the same region: [(region, "a brown dog"), ...], in the sentence's order."""
    runs: list[tuple[int, list[str]]] = []
    for word, region in zip(words, path, strict=True):
        if not runs or runs[-1][0] != region:
            runs.append((region, []))
        runs[-1][1].append(word)
    return [(region, " ".join(run)) for region, run in runs]


def place(box: Sequence[float]) -> str:
    """A box in words: "upper left, 12 % of the picture"."""
    x0, y0, x1, y1 = (float(side) for side in box)
    share = (x1 - x0) * (y1 - y0)
    if share > WHOLE:
        return "the whole picture"
    row = ("upper", "middle", "lower")[min(int((y0 + y1) / 2 * 3), 2)]
    column = ("left", "centre", "right")[min(int((x0 + x1) / 2 * 3), 2)]
    where = "centre" if (row, column) == ("middle", "centre") else f"{row} {column}"
    return f"{where}, {100 * share:.0f} % of the picture"


def region_colours(boxes: Float[np.ndarray, "regions 4"], paths: Sequence[Sequence[int]]) -> dict[int, str]:
    """The colour of every region that a path uses, in order of first use; the whole picture is grey."""
    colours: dict[int, str] = {}
    for region in dict.fromkeys(region for path in paths for region in path):
        x0, y0, x1, y1 = boxes[region]
        chosen = [colour for colour in colours.values() if colour != NEUTRAL]
        colours[region] = NEUTRAL if (x1 - x0) * (y1 - y0) > WHOLE else COLOURS[len(chosen) % len(COLOURS)]
    return colours


def mark_corners(boxes: Float[np.ndarray, "regions 4"], regions: Sequence[int], near: float = 0.07) -> dict[int, str]:
    """The corner of each region's box for its number ("tl", "tr", "bl", "br"), so that no two numbers meet."""
    taken: list[tuple[float, float]] = []
    corners: dict[int, str] = {}
    for region in regions:
        x0, y0, x1, y1 = boxes[region].tolist()
        choices = {"tl": (x0, y0), "tr": (x1 - near, y0), "bl": (x0, y1 - near), "br": (x1 - near, y1 - near)}
        free = [
            name
            for name, (x, y) in choices.items()
            if all(abs(x - other_x) > near or abs(y - other_y) > near for other_x, other_y in taken)
        ]
        corners[region] = (free or ["tl"])[0]
        taken.append(choices[corners[region]])
    return corners


def true_boxes(record: Record, sentence: Sentence) -> list[Float[np.ndarray, "n 4"]]:
    """The true boxes of each word of a sentence; none for a word that names nothing."""
    truth = [np.zeros((0, 4), np.float32) for _ in sentence.tokens]
    for phrase in sentence.phrases:
        for t in range(phrase.start, phrase.stop):
            truth[t] = np.asarray(record.boxes, np.float32)[list(phrase.boxes)]
    return truth


def picture_address(image: Image.Image) -> str:
    """A picture as a data address: PNG or JPEG, whichever is smaller."""
    image = image.convert("RGB")
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)  # never larger; `convert` made a copy
    made = []
    for form, options in (("png", {"optimize": True}), ("jpeg", {"quality": 88})):
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        made.append((buffer.tell(), form, buffer.getvalue()))
    _, form, data = min(made)
    return f"data:image/{form};base64,{base64.b64encode(data).decode()}"


@cache
def _file(name: str) -> str:
    return files("vsa_lite").joinpath(name).read_text(encoding="utf-8")


def _array(values: Tensor | np.ndarray | Sequence, dtype=np.float64) -> np.ndarray:
    return np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, dtype=dtype)


class AlignmentViewer:
    """An alignment to look at: every word of a sentence with its region of the picture.

    Hover, focus or touch a word: its region is outlined, the other regions as strongly as they speak for the word.
    Arrow keys walk through the words, a click or Enter keeps one, Escape lets it go. Pointing at a region shows its
    words.

    Args:
        image: the picture.
        boxes: of the regions, as shares of the picture's sides, 0 to 1.
        words: the sentence, one string a word.
        weights: how strongly each region speaks for each word: products v_i . s_t, or marginals of the chain. With a
            third axis in front, one such matrix for each step of the slider.
        path: the region of each word; the strongest one by default.
        paths: paths by beta, for a slider; `path`, if it is one of them, is shown first, else that of the lowest beta.
        slider: what the slider chooses, if not beta.
        truth: for each word its true boxes, drawn dashed (see `true_boxes`).
        caption: a line beneath; plain text.
        alt: what the picture shows, for people who do not see it; the alignment in words is added to it.

    Raises:
        ValueError: if sizes do not fit, a box or weight is not in range, or a path names a region that does not exist.
    """

    def __init__(
        self,
        image: Image.Image,
        boxes: Float[Tensor, "regions 4"] | Float[np.ndarray, "regions 4"],
        words: Sequence[str],
        weights: Float[Tensor, "*steps words regions"] | Float[np.ndarray, "*steps words regions"],
        path: Int[Tensor, " words"] | Sequence[int] | None = None,
        *,
        paths: Mapping[float, Sequence[int]] | None = None,
        slider: str = "beta",
        truth: Sequence[Float[np.ndarray, "n 4"]] | None = None,
        caption: str = "",
        alt: str = "",
    ) -> None:
        self.image, self.words, self.caption = image, [str(word) for word in words], caption
        self.boxes, self.weights = _array(boxes).reshape(-1, 4), _array(weights)
        if not self.words or not len(self.boxes):
            raise ValueError(f"a viewer needs words and boxes, got {len(self.words)} and {len(self.boxes)}")
        check_boxes(torch.from_numpy(self.boxes))
        expected = (len(self.words), len(self.boxes))
        if self.weights.shape not in (expected, (len(paths or ()), *expected)):
            raise ValueError(
                f"weights must have the shape (words, regions) = {expected}, or one such matrix for each of the "
                f"{len(paths or ())} paths, got {self.weights.shape}"
            )
        if not np.isfinite(self.weights).all():
            raise ValueError("weights must be finite: leave padded regions and words out")
        self.weights = self.weights.reshape(-1, *expected)  # one for all steps of the slider, or one for each
        self.path = self._check_path(self.weights[0].argmax(1) if path is None else path, "path")
        self.betas, self.paths, self.slider = [], [self.path], slider
        if paths:
            self.betas = sorted(paths)
            self.paths = [self._check_path(paths[beta], f"paths[{beta}]") for beta in self.betas]
            self.path = self.path if path is not None and self.path in self.paths else self.paths[0]
        if truth is not None and len(truth) != len(self.words):
            raise ValueError(f"truth must have one entry a word, {len(self.words)}, got {len(truth)}")
        self.truth = [] if truth is None else [_array(entry).reshape(-1, 4) for entry in truth]
        self.alt = " ".join([alt or caption or "A picture and its sentence.", self.description()])

    def _check_path(self, path: Int[Tensor, " words"] | Sequence[int], name: str) -> list[int]:
        regions = _array(path, np.int64).tolist()
        if len(regions) != len(self.words):
            raise ValueError(f"{name} must have one region a word, {len(self.words)}, got {len(regions)}")
        if wrong := [region for region in regions if not 0 <= region < len(self.boxes)]:
            raise ValueError(f"{name} names region {wrong[0]}; the regions are 0 to {len(self.boxes) - 1}")
        return regions

    def description(self) -> str:
        """The alignment in words: each part of the sentence with the place of its region."""
        parts = segments_in_words(self.words, self.path)
        return "; ".join(f"“{text}”: {place(self.boxes[region])}" for region, text in parts) + "."

    def __repr__(self) -> str:
        parts = segments_in_words(self.words, self.path)
        width = max(len(text) for _, text in parts)
        return "\n".join(f"{text:{width}}  region {region}: {place(self.boxes[region])}" for region, text in parts)

    def _view(self) -> dict:
        """What the script needs."""
        low, high = self.weights.min(2, keepdims=True), self.weights.max(2, keepdims=True)
        strengths = (self.weights - low) / np.where(high > low, high - low, 1)
        overlaps = []
        for boxes in self.truth:  # once for a page, a dozen words
            iou = box_iou(torch.from_numpy(self.boxes), torch.from_numpy(boxes)).amax(1) if len(boxes) else None
            overlaps.append(None if iou is None else [round(100 * value) for value in iou.tolist()])
        return {
            "paths": self.paths,
            "betas": [f"{beta:g}" for beta in self.betas],
            "strengths": strengths.round(3).tolist(),
            "weights": self.weights.round(3).tolist(),
            "places": [place(box) for box in self.boxes],
            "colours": region_colours(self.boxes, [self.path, *self.paths]),
            "truth": [boxes.round(4).tolist() for boxes in self.truth],
            "overlaps": overlaps,
        }

    def _repr_html_(self) -> str:
        view = self._view()
        colours = view["colours"]
        stage = self._boxes_html(colours)
        buttons = "".join(
            f'<button type="button" class="vsa-word" aria-pressed="false" tabindex="{0 if t == 0 else -1}" '
            f'style="--c:{colours[region]}">{html.escape(word)}</button>'
            for t, (word, region) in enumerate(zip(self.words, self.path, strict=True))
        )
        slider = ""
        if self.betas:
            first, name = self.paths.index(self.path), html.escape(self.slider)
            slider = (
                f'<label class="vsa-beta">{name} <input type="range" min="0" max="{len(self.betas) - 1}" step="1" '
                f'value="{first}" aria-label="{name}" aria-valuetext="{self.betas[first]:g}">'
                f"<output>{self.betas[first]:g}</output></label>"
            )
        caption = f"<figcaption>{html.escape(self.caption)}</figcaption>" if self.caption else ""
        return (
            f'<figure class="vsa-viewer" aria-label="Alignment viewer" data-view="{html.escape(json.dumps(view))}">'
            f"<style>{_file('viewer.css')}</style>"
            f'<div class="vsa-stage"><img class="dark-light no-scaled-link" src="{picture_address(self.image)}" '
            f'alt="{html.escape(self.alt)}">{stage}</div>'
            f'<div class="vsa-words" role="toolbar" aria-label="Words of the sentence">{buttons}</div>'
            f'<p class="vsa-status" aria-live="polite">{html.escape(self.description())}</p>{slider}{caption}'
            f"</figure><script>{_file('viewer.js')}</script>"
        )

    def _boxes_html(self, colours: dict[int, str]) -> str:
        numbered = [region for region, colour in colours.items() if colour != NEUTRAL]
        corners = mark_corners(self.boxes, numbered)
        boxes = []
        for region, (x0, y0, x1, y1) in enumerate((100 * self.boxes).tolist()):
            where = f"left:{x0:.2f}%;top:{y0:.2f}%;width:{x1 - x0:.2f}%;height:{y1 - y0:.2f}%"
            mark = ""
            if region in corners:
                mark = f'<span class="vsa-tag vsa-{corners[region]}">{region}</span>'
            used = " vsa-used" if region in self.path else ""
            colour = colours.get(region, NEUTRAL)
            boxes.append(f'<span class="vsa-box{used}" style="{where};--c:{colour}">{mark}</span>')
        return "".join(boxes)
