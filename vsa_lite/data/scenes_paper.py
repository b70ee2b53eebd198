"""The paper workshop of the scenes: cut shapes, coloured paper, soft shadows (see `scenes` for the data set itself).

A thing's pattern is a list of parts cut from paper, in a frame of its own: its feet stand at (0, 0), y points up, and
it is about 1 high. Patterns are cut once and cached; a picture only moves, turns and colours them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

SIDE = 224  # pixels, of a finished picture
CANVAS = 2 * SIDE  # pictures are drawn at twice their side and reduced, for smooth edges

COLOURS = {
    "red": (212, 62, 54),
    "orange": (238, 136, 44),
    "yellow": (246, 206, 66),
    "green": (84, 156, 84),
    "blue": (62, 118, 190),
    "purple": (134, 90, 170),
    "pink": (240, 146, 178),
    "white": (248, 245, 238),
    "black": (54, 52, 58),
    "brown": (140, 96, 64),
    "grey": (146, 149, 156),
}
SKINS = ((255, 219, 186), (233, 180, 136), (190, 128, 86), (122, 80, 56))
HAIRS = ((58, 44, 40), (120, 74, 40), (214, 164, 84), (176, 74, 40))

Points = Sequence[tuple[float, float]]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Part:
    """One piece of paper: its outline, and the colour it is cut from (a role such as "main", or a fixed colour)."""

    outline: np.ndarray  # [points, 2]
    paper: str | Colour


def oval(x: float, y: float, rx: float, ry: float | None = None, turn: float = 0.0, n: int = 22) -> np.ndarray:
    """An ellipse around (x, y), turned by `turn` degrees."""
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    points = np.stack([rx * np.cos(angle), (rx if ry is None else ry) * np.sin(angle)], axis=1)
    return points @ rotation(turn).T + (x, y)


def blob(points: Points, samples: int = 5) -> np.ndarray:
    """The smooth closed curve through some points (Catmull-Rom)."""
    p1 = np.asarray(points, dtype=float)
    p0, p2, p3 = np.roll(p1, 1, axis=0), np.roll(p1, -1, axis=0), np.roll(p1, -2, axis=0)
    t = np.linspace(0, 1, samples, endpoint=False)[None, :, None]
    p0, p1, p2, p3 = (p[:, None, :] for p in (p0, p1, p2, p3))
    curve = p1 + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))
    return curve.reshape(-1, 2)


def cut(*points: tuple[float, float]) -> np.ndarray:
    """A polygon with sharp corners."""
    return np.asarray(points, dtype=float)


def box(x0: float, y0: float, x1: float, y1: float, r: float = 0.0) -> np.ndarray:
    """A rectangle with corners rounded by r."""
    if not r:
        return cut((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    centres = np.array([(x1 - r, y1 - r), (x0 + r, y1 - r), (x0 + r, y0 + r), (x1 - r, y0 + r)])
    angle = np.linspace(0, np.pi / 2, 4)[None, :] + np.arange(4)[:, None] * np.pi / 2
    return (centres[:, None, :] + r * np.stack([np.cos(angle), np.sin(angle)], axis=2)).reshape(-1, 2)


def strip(points: Points, width: float, end_width: float | None = None, samples: int = 5) -> np.ndarray:
    """A strip of paper along a smooth open curve, from `width` to `end_width`."""
    p = np.asarray(points, dtype=float)
    if len(p) > 2:
        p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
        t = np.linspace(0, 1, samples, endpoint=False)[None, :, None]
        p0, p1, p2, p3 = (p[i : len(p) - 3 + i, None, :] for i in range(4))
        curve = p1 + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)))
        p = np.concatenate([curve.reshape(-1, 2), p[-2:-1]])
    along = np.gradient(p, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.linalg.norm(along, axis=1, keepdims=True)
    half = np.linspace(width, width if end_width is None else end_width, len(p))[:, None] / 2
    return np.concatenate([p + half * across, (p - half * across)[::-1]])


def ring(x: float, y: float, radius: float, width: float) -> np.ndarray:
    """A ring, as one outline that walks around outside and back inside."""
    outside, inside = oval(x, y, radius + width / 2, n=28), oval(x, y, radius - width / 2, n=28)
    return np.concatenate([outside, outside[:1], inside[:1], inside[::-1]])


def rotation(degrees: float) -> np.ndarray:
    """The matrix that turns counter-clockwise where y points up."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s], [s, c]])


class Pattern:
    """All parts of a thing in one array of points, so that one product moves them all.

    Attributes:
        points: [points, 2].
        stops: where each part ends in `points`.
        papers: each part's role or colour.
        outer: numbers of the parts that make up the silhouette; the others lie inside it.
        extent: (x0, y0, x1, y1) in the pattern's own frame.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.points = np.concatenate([part.outline for part in parts])
        self.stops = tuple(np.cumsum([len(part.outline) for part in parts]).tolist())
        self.papers = tuple(part.paper for part in parts)
        self.extent = (*self.points.min(axis=0).tolist(), *self.points.max(axis=0).tolist())
        self.outer = self._silhouette()

    def _silhouette(self, side: int = 200) -> tuple[int, ...]:
        low, high = np.array(self.extent[:2]), np.array(self.extent[2:])
        scaled = (self.points - low) / max(high - low) * (side - 3) + 1
        outlines = [outline.ravel().tolist() for outline in np.split(scaled, self.stops[:-1])]
        covered, outer = np.zeros((side, side), bool), []
        boxes = [np.ptp(np.reshape(outline, (-1, 2)), axis=0).prod() for outline in outlines]
        for i in np.argsort(boxes)[::-1].tolist():  # large parts first: small ones often lie on them
            image = Image.new("L", (side, side))
            ImageDraw.Draw(image).polygon(outlines[i], fill=1)
            mask = np.asarray(image, dtype=bool)
            if (mask & ~covered).any():
                outer.append(i)
                covered |= mask
        return tuple(sorted(outer))

    def placed(self, x: float, y: float, height: float, flip: bool, tilt: float) -> list[list[float]]:
        """Every part's outline in pixels of the canvas, as PIL wants it: x0, y0, x1, y1, ..."""
        matrix = rotation(tilt) @ np.diag([-height if flip else height, height])
        points = (self.points @ matrix.T * (1, -1) + (x, y)) * CANVAS
        flat = points.round(2).ravel().tolist()  # rounded: the last bits of a sine differ between machines
        starts = (0, *self.stops[:-1])
        return [flat[2 * a : 2 * b] for a, b in zip(starts, self.stops, strict=True)]


def papers(colour: str, shade: float, variant: int) -> dict[str, Colour]:
    """The sheets that a thing is cut from: its colour, made lighter or darker by `shade` (about -1 to 1)."""
    main = tuple(int(min(255, max(0, c + 9 * shade))) for c in COLOURS[colour])
    dark = 0.84 if colour in ("white", "yellow") else 0.76
    pale = colour in ("white", "yellow", "pink")
    return {
        "main": main,
        "dark": mix(main, (28, 22, 40), 1 - dark) if colour != "black" else (34, 32, 38),
        "light": mix(main, (255, 255, 255), 0.32 if colour == "black" else 0.5),
        "trim": (196, 206, 220) if colour == "white" else (252, 249, 240),
        "eye": (250, 214, 92) if colour == "black" else (44, 38, 44),
        "nose": (214, 112, 120) if pale or colour == "black" else (60, 44, 46),
        "skin": SKINS[variant % 4],
        "hair": HAIRS[variant // 4 % 4],
    }


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """Colour a with a share of b in it."""
    return tuple(round(p + (q - p) * share) for p, q in zip(a, b, strict=True))


def cast_shadow(canvas: Image.Image, outlines: list[list[float]], coarse: int = 4) -> None:
    """Darken the canvas where some shapes keep the light off: the silhouette, moved and blurred."""
    xs = [x for outline in outlines for x in outline[::2]]
    ys = [y for outline in outlines for y in outline[1::2]]
    pad = 3
    x0, y0 = int(min(xs)) // coarse - pad, int(min(ys)) // coarse - pad
    width, height = int(max(xs)) // coarse + pad + 2 - x0, int(max(ys)) // coarse + pad + 2 - y0
    mask = Image.new("L", (width, height))
    draw = ImageDraw.Draw(mask)
    for outline in outlines:
        moved = [v / coarse - (y0 if i % 2 else x0) for i, v in enumerate(outline)]
        draw.polygon(moved, fill=105)
    mask = mask.filter(ImageFilter.BoxBlur(1)).resize((width * coarse, height * coarse), Image.Resampling.BILINEAR)
    canvas.paste((38, 32, 58), (x0 * coarse + 6, y0 * coarse + 7), mask)


@lru_cache(maxsize=1)
def _grain() -> Image.Image:
    noise = np.random.default_rng(7)
    fine = noise.normal(0, 2.6, (SIDE, SIDE))
    fibres = np.asarray(
        Image.fromarray(noise.normal(128, 40, (SIDE // 4, SIDE // 2)).clip(0, 255).astype(np.uint8)).resize(
            (SIDE, SIDE), Image.Resampling.BILINEAR
        ),
        dtype=float,
    )
    grey = (249 + fine + (fibres - 128) * 0.06).clip(0, 255).astype(np.uint8)
    return Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2))


def finish(canvas: Image.Image, look: int) -> Image.Image:
    """The canvas at its final size, with the grain of paper."""
    return ImageChops.multiply(canvas.reduce(CANVAS // SIDE), ImageChops.offset(_grain(), look % 199, look % 173))
