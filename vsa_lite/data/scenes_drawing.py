"""A scene before it is drawn, what can be seen of it, and how it is drawn (see `scenes` for the data set itself)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image, ImageDraw

from vsa_lite.data.scenes_paper import CANVAS, cast_shadow, finish, oval, papers
from vsa_lite.data.scenes_settings import draw_setting
from vsa_lite.data.scenes_things import pattern


@dataclass(frozen=True)
class Thing:
    """One thing of a picture. Lengths are shares of the picture's side; y points down.

    Attributes:
        kind, colour, pose: what it looks like; see `scenes_things.KINDS`.
        size: "small" or "big" for its kind.
        x, y: where its feet stand (the end of the string, for balloons and kites).
        height: of its pattern.
        flip: mirrored left to right.
        tilt: degrees, counter-clockwise.
        place: "ground", "far" (ground, in the distance), "sea", "sky", or "thing" (on, in or held by another thing).
        shade: the colour, a little darker (-1) or lighter (1).
        variant: skin and hair of children.
    """

    kind: str
    colour: str
    pose: str
    size: str
    x: float
    y: float
    height: float
    flip: bool = False
    tilt: float = 0.0
    place: str = "ground"
    shade: float = 0.0
    variant: int = 0

    def outlines(self) -> list[list[float]]:
        """Every part's outline in pixels of the canvas."""
        return pattern(self.kind, self.pose).placed(self.x, self.y, self.height, self.flip, self.tilt)

    def foot_shadow(self) -> list[float]:
        """The flat oval of shade on the ground below it, in pixels of the canvas."""
        left, _, right, _ = pattern(self.kind, self.pose).extent
        left, right = (-right, -left) if self.flip else (left, right)
        middle, half = (left + right) / 2, 0.42 * (right - left)
        if self.kind in ("tree", "umbrella"):  # wide above, narrow below
            middle, half = 0.0, 0.5 * half
        shade = oval(self.x + middle * self.height, self.y - 0.009, half * self.height, 0.011, n=10)
        return (shade * CANVAS).round(2).ravel().tolist()


@dataclass(frozen=True)
class Drawing:
    """A picture before it is drawn: equal drawings give equal pictures.

    Attributes:
        setting: one of `SETTINGS`.
        weather: one of `WEATHERS`.
        look: the seed of what varies in the setting.
        things: from back to front, in the order in which they are glued.
        facts: (a, relation, b): "thing a is on / under / in / riding / holding / leaning thing b".
    """

    setting: str
    weather: str
    look: int
    things: tuple[Thing, ...]
    facts: tuple[tuple[int, str, int], ...] = ()

    def draw(self, shadows: bool = True) -> Image.Image:
        """The picture, RGB, 224 x 224."""
        canvas = draw_setting(self.setting, self.weather, self.look)
        draw = ImageDraw.Draw(canvas)
        for thing in self.things:
            cut, outlines = pattern(thing.kind, thing.pose), thing.outlines()
            if shadows:
                silhouette = [outlines[i] for i in cut.outer]
                on_ground = thing.place in ("ground", "far")
                cast_shadow(canvas, [*silhouette, thing.foot_shadow()] if on_ground else silhouette)
            sheets = papers(thing.colour, thing.shade, thing.variant)
            for outline, paper in zip(outlines, cut.papers, strict=True):
                draw.polygon(outline, fill=sheets[paper] if isinstance(paper, str) else paper)
        return finish(canvas, self.look)

    @cached_property
    def _seen(self) -> tuple[np.ndarray, np.ndarray]:
        numbers = Image.new("L", (CANVAS, CANVAS))
        draw, frames, whole = ImageDraw.Draw(numbers), [], []
        for number, thing in enumerate(self.things, start=1):
            outlines = thing.outlines()
            silhouette = [outlines[i] for i in pattern(thing.kind, thing.pose).outer]
            for outline in silhouette:
                draw.polygon(outline, fill=number)
            xs, ys = ([v for outline in silhouette for v in outline[axis::2]] for axis in (0, 1))
            low, high = (min(xs), min(ys)), (max(xs) + 2, max(ys) + 2)
            frames.append(tuple(int(min(CANVAS, max(0, v))) for v in (*low, *high)))
            whole.append(numbers.crop(frames[-1]).tobytes().count(number))
        boxes, visible = np.zeros((len(self.things), 4), dtype=np.float32), np.zeros(len(self.things))
        picture = np.asarray(numbers)
        for i, (x0, y0, x1, y1) in enumerate(frames):
            mask = picture[y0:y1, x0:x1] == i + 1
            columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
            if len(columns):
                boxes[i] = x0 + columns[0], y0 + rows[0], x0 + columns[-1] + 1, y0 + rows[-1] + 1
                visible[i] = mask.sum() / whole[i]
        return boxes / CANVAS, visible

    @property
    def boxes(self) -> np.ndarray:
        """[things, 4], float32: what can be seen of each thing, tight, as shares of the picture's sides."""
        return self._seen[0]

    @property
    def visible(self) -> np.ndarray:
        """[things]: how much of each thing's area within the picture is not hidden by others, 0 to 1."""
        return self._seen[1]
