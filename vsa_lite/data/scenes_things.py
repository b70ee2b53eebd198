"""Patterns of the scenes' furniture, vehicles, plants and toys, and facts about every kind of thing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from vsa_lite.data.scenes_animals import ANIMALS
from vsa_lite.data.scenes_paper import Part, Pattern, blob, box, cut, oval, ring, strip
from vsa_lite.data.scenes_people import PEOPLE

TYRE, HUB = (58, 56, 62), (206, 206, 210)
GLASS = (196, 226, 236)
WOOD, BARK = (168, 120, 78), (124, 88, 62)
LEAF = (96, 148, 84)
STEEL = (120, 124, 134)
GLOW = (255, 240, 186)


def chair() -> list[Part]:
    return [
        Part(box(-0.22, 0.02, -0.15, 0.5), "dark"),
        Part(box(0.17, 0.02, 0.24, 0.5), "dark"),
        Part(box(-0.28, 0.5, -0.2, 1.0, 0.03), "dark"),
        Part(box(0.2, 0.5, 0.28, 1.0, 0.03), "dark"),
        Part(box(-0.25, 0.84, 0.25, 0.97, 0.03), "main"),
        Part(box(-0.25, 0.64, 0.25, 0.76, 0.03), "main"),
        Part(box(-0.33, 0.0, -0.25, 0.42), "main"),
        Part(box(0.27, 0.0, 0.35, 0.42), "main"),
        Part(cut((-0.36, 0.4), (0.38, 0.4), (0.28, 0.54), (-0.28, 0.54)), "light"),
        Part(box(-0.36, 0.34, 0.38, 0.41), "main"),
    ]


def table() -> list[Part]:
    return [
        Part(box(-0.62, 0.14, -0.54, 0.84), "dark"),
        Part(box(0.54, 0.14, 0.62, 0.84), "dark"),
        Part(box(-0.8, 0.0, -0.7, 0.84), "main"),
        Part(box(0.7, 0.0, 0.8, 0.84), "main"),
        Part(cut((-0.9, 0.86), (0.9, 0.86), (0.72, 1.04), (-0.72, 1.04)), "light"),
        Part(box(-0.9, 0.78, 0.9, 0.87, 0.02), "main"),
    ]


def sofa() -> list[Part]:
    return [
        Part(box(-0.82, 0.0, -0.72, 0.14), WOOD),
        Part(box(0.72, 0.0, 0.82, 0.14), WOOD),
        Part(box(-0.8, 0.2, 0.8, 1.0, 0.16), "main"),
        Part(box(-0.7, 0.5, -0.02, 0.92, 0.1), "light"),
        Part(box(0.02, 0.5, 0.7, 0.92, 0.1), "light"),
        Part(box(-0.74, 0.34, 0.0, 0.54, 0.08), "light"),
        Part(box(0.0, 0.34, 0.74, 0.54, 0.08), "light"),
        Part(strip([(0.0, 0.36), (0.0, 0.9)], 0.02), "dark"),
        Part(box(-0.86, 0.1, 0.86, 0.36, 0.05), "main"),
        Part(strip([(-0.7, 0.345), (0.7, 0.345)], 0.025), "dark"),
        Part(box(-1.0, 0.08, -0.74, 0.64, 0.12), "dark"),
        Part(box(0.74, 0.08, 1.0, 0.64, 0.12), "dark"),
    ]


def lamp() -> list[Part]:
    return [
        Part(oval(0.0, 0.04, 0.2, 0.05), "dark"),
        Part(box(-0.03, 0.04, 0.03, 0.7), STEEL),
        Part(oval(0.0, 0.62, 0.2, 0.05), GLOW),
        Part(cut((-0.16, 1.0), (0.16, 1.0), (0.32, 0.6), (-0.32, 0.6)), "main"),
        Part(cut((-0.13, 0.96), (-0.04, 0.96), (-0.1, 0.64), (-0.26, 0.64)), "light"),
        Part(box(-0.33, 0.58, 0.33, 0.63, 0.02), "dark"),
    ]


def wheel(x: float, r: float) -> list[Part]:
    return [Part(oval(x, r, r), TYRE), Part(oval(x, r, 0.5 * r), HUB), Part(oval(x, r, 0.16 * r), TYRE)]


def car() -> list[Part]:
    return [
        Part(blob([(-0.62, 0.5), (-0.42, 0.92), (-0.3, 1.0), (0.2, 1.0), (0.36, 0.92), (0.62, 0.52)]), "main"),
        Part(cut((-0.5, 0.58), (-0.35, 0.9), (-0.08, 0.91), (-0.08, 0.58)), GLASS),
        Part(cut((0.0, 0.58), (0.0, 0.91), (0.26, 0.89), (0.48, 0.58)), GLASS),
        Part(
            blob(
                [
                    (-1.0, 0.24),
                    (-1.0, 0.5),
                    (-0.7, 0.6),
                    (0.6, 0.6),
                    (0.98, 0.48),
                    (1.02, 0.24),
                    (0.9, 0.16),
                    (-0.9, 0.16),
                ]
            ),
            "main",
        ),
        Part(box(-0.98, 0.17, 0.98, 0.26, 0.03), "dark"),
        Part(strip([(-0.04, 0.28), (-0.04, 0.58)], 0.02), "dark"),
        Part(box(0.06, 0.46, 0.2, 0.5, 0.02), "dark"),
        Part(oval(0.92, 0.42, 0.07, 0.06), GLOW),
        Part(box(-1.0, 0.38, -0.92, 0.48, 0.02), (214, 74, 66)),
        *wheel(-0.58, 0.21),
        *wheel(0.58, 0.21),
    ]


def bus() -> list[Part]:
    windows = [Part(box(x, 0.56, x + 0.26, 0.84, 0.03), GLASS) for x in (-0.9, -0.58, -0.26, 0.06)]
    return [
        Part(box(-1.0, 0.1, 1.0, 1.0, 0.1), "main"),
        Part(box(-0.97, 0.9, 0.97, 0.98, 0.04), "light"),
        *windows,
        Part(box(0.74, 0.46, 0.97, 0.84, 0.03), GLASS),
        Part(box(0.42, 0.16, 0.66, 0.84, 0.02), "light"),
        Part(box(0.45, 0.44, 0.63, 0.8, 0.02), GLASS),
        Part(box(-1.0, 0.36, 0.4, 0.43), "trim"),
        Part(box(-1.0, 0.1, 1.0, 0.17, 0.03), "dark"),
        Part(oval(0.93, 0.3, 0.05), GLOW),
        *wheel(-0.58, 0.17),
        *wheel(0.2, 0.17),
    ]


def bicycle() -> list[Part]:
    spokes = [
        Part(strip([(x - 0.3 * c, 0.34 - 0.3 * s), (x + 0.3 * c, 0.34 + 0.3 * s)], 0.016), HUB)
        for x in (-0.52, 0.52)
        for c, s in ((1, 0), (0, 1), (0.7, 0.7), (0.7, -0.7))
    ]
    return [
        *spokes,
        Part(ring(-0.52, 0.34, 0.3, 0.07), TYRE),
        Part(ring(0.52, 0.34, 0.3, 0.07), TYRE),
        Part(strip([(-0.52, 0.34), (-0.22, 0.74)], 0.07), "main"),
        Part(strip([(-0.52, 0.34), (-0.04, 0.3)], 0.07), "main"),
        Part(strip([(-0.26, 0.86), (-0.04, 0.3)], 0.07), "main"),
        Part(strip([(-0.22, 0.72), (0.4, 0.74)], 0.07), "main"),
        Part(strip([(-0.04, 0.3), (0.4, 0.72)], 0.07), "main"),
        Part(strip([(0.36, 0.92), (0.52, 0.34)], 0.07), "main"),
        Part(strip([(0.36, 0.9), (0.46, 1.0), (0.6, 0.96)], 0.06), STEEL),
        Part(blob([(-0.44, 0.9), (-0.42, 0.98), (-0.1, 0.96), (-0.08, 0.91), (-0.26, 0.85)]), TYRE),
        Part(oval(-0.04, 0.3, 0.08), STEEL),
    ]


def boat() -> list[Part]:
    hull = [(-0.74, 0.31), (0.0, 0.28), (0.74, 0.32), (0.56, 0.06), (0.4, 0.0), (-0.4, 0.0), (-0.58, 0.08)]
    return [
        Part(box(0.05, 0.2, 0.11, 1.0), BARK),
        Part(cut((0.14, 0.94), (0.14, 0.34), (0.62, 0.34)), (250, 246, 236)),
        Part(cut((0.02, 0.9), (0.02, 0.54), (-0.2, 0.54)), (236, 230, 216)),
        Part(cut((0.11, 1.0), (0.28, 0.955), (0.11, 0.91)), "main"),
        Part(blob(hull), "main"),
        Part(strip([(-0.66, 0.24), (0.0, 0.22), (0.66, 0.25)], 0.04), "trim"),
    ]


def tree() -> list[Part]:
    return [
        Part(cut((-0.08, 0.0), (0.09, 0.0), (0.05, 0.5), (-0.05, 0.5)), BARK),
        Part(strip([(0.0, 0.34), (0.14, 0.5)], 0.04), BARK),
        Part(oval(-0.17, 0.54, 0.2, 0.17), "dark"),
        Part(oval(0.18, 0.54, 0.2, 0.17), "dark"),
        Part(oval(0.0, 0.62, 0.27, 0.22), "main"),
        Part(oval(-0.12, 0.74, 0.19, 0.17), "main"),
        Part(oval(0.13, 0.76, 0.19, 0.17), "main"),
        Part(oval(0.0, 0.86, 0.17, 0.14), "main"),
        Part(oval(-0.06, 0.84, 0.09, 0.07), "light"),
        Part(oval(0.14, 0.72, 0.07, 0.055), "light"),
        Part(oval(-0.16, 0.64, 0.06, 0.045), "light"),
    ]


def flower() -> list[Part]:
    petals = [
        Part(oval(0.19 * np.cos(a), 0.78 + 0.19 * np.sin(a), 0.13, 0.1, np.degrees(a)), "main" if i % 2 else "dark")
        for i, a in enumerate(np.linspace(0, 2 * np.pi, 8, endpoint=False))
    ]
    return [
        Part(strip([(0.0, 0.2), (0.03, 0.45), (0.0, 0.75)], 0.045), LEAF),
        Part(oval(-0.14, 0.44, 0.14, 0.055, -35), LEAF),
        Part(oval(0.16, 0.4, 0.14, 0.055, 35), (82, 132, 74)),
        *petals,
        Part(oval(0.0, 0.78, 0.11), (250, 212, 84)),
        Part(oval(0.0, 0.78, 0.05), (220, 150, 60)),
        Part(cut((-0.17, 0.26), (0.17, 0.26), (0.12, 0.0), (-0.12, 0.0)), (196, 106, 72)),
        Part(box(-0.2, 0.22, 0.2, 0.31, 0.02), (214, 126, 88)),
    ]


def ball() -> list[Part]:
    return [
        Part(oval(0.0, 0.5, 0.5, n=30), "main"),
        Part(blob([(-0.06, 0.96), (0.2, 0.92), (0.32, 0.5), (0.2, 0.08), (-0.06, 0.04), (0.06, 0.5)]), "trim"),
        Part(blob([(-0.3, 0.88), (-0.2, 0.92), (-0.26, 0.5), (-0.2, 0.08), (-0.3, 0.12), (-0.46, 0.5)]), "dark"),
        Part(oval(-0.06, 0.94, 0.09, 0.05), "light"),
    ]


def kite() -> list[Part]:
    bows = [(0.02, 0.32), (-0.1, 0.2), (0.04, 0.07)]
    return [
        Part(strip([(0.0, 0.46), (0.06, 0.34), (-0.12, 0.2), (0.06, 0.06), (0.0, 0.0)], 0.022), (110, 104, 110)),
        *[Part(cut((x, y), (x - 0.1, y + 0.05), (x - 0.09, y - 0.05)), "dark") for x, y in bows],
        *[Part(cut((x, y), (x + 0.1, y + 0.05), (x + 0.09, y - 0.05)), "light") for x, y in bows],
        Part(cut((0.0, 1.0), (0.32, 0.74), (0.0, 0.44), (-0.32, 0.74)), "main"),
        Part(cut((0.0, 1.0), (0.32, 0.74), (0.0, 0.74)), "light"),
        Part(cut((0.0, 0.74), (0.0, 0.44), (-0.32, 0.74)), "dark"),
    ]


def balloon() -> list[Part]:
    return [
        Part(strip([(0.0, 0.0), (0.04, 0.16), (-0.04, 0.32), (0.0, 0.5)], 0.02), (110, 104, 110)),
        Part(cut((-0.05, 0.46), (0.05, 0.46), (0.0, 0.54)), "dark"),
        Part(
            blob(
                [
                    (0.0, 0.5),
                    (0.17, 0.62),
                    (0.24, 0.8),
                    (0.16, 0.96),
                    (0.0, 1.0),
                    (-0.16, 0.96),
                    (-0.24, 0.8),
                    (-0.17, 0.62),
                ]
            ),
            "main",
        ),
        Part(oval(-0.1, 0.86, 0.04, 0.07, 20), "light"),
    ]


def umbrella() -> list[Part]:
    return [
        Part(box(-0.02, 0.0, 0.02, 0.98), BARK),
        Part(
            blob(
                [
                    (-0.52, 0.6),
                    (-0.46, 0.76),
                    (-0.26, 0.92),
                    (0.0, 0.97),
                    (0.26, 0.92),
                    (0.46, 0.76),
                    (0.52, 0.6),
                    (0.35, 0.65),
                    (0.17, 0.6),
                    (0.0, 0.65),
                    (-0.17, 0.6),
                    (-0.35, 0.65),
                ]
            ),
            "main",
        ),
        Part(blob([(-0.17, 0.6), (-0.13, 0.82), (0.0, 0.97), (0.13, 0.82), (0.17, 0.6), (0.0, 0.65)]), "trim"),
        Part(blob([(-0.52, 0.6), (-0.46, 0.76), (-0.26, 0.92), (-0.4, 0.76), (-0.44, 0.63)]), "dark"),
        Part(blob([(0.52, 0.6), (0.46, 0.76), (0.26, 0.92), (0.4, 0.76), (0.44, 0.63)]), "dark"),
        Part(oval(0.0, 0.98, 0.025, 0.03), BARK),
    ]


TOYS_AND_FURNITURE = {
    ("chair", ""): chair,
    ("table", ""): table,
    ("sofa", ""): sofa,
    ("lamp", ""): lamp,
    ("car", ""): car,
    ("bus", ""): bus,
    ("bicycle", ""): bicycle,
    ("boat", ""): boat,
    ("tree", ""): tree,
    ("flower", ""): flower,
    ("ball", ""): ball,
    ("kite", ""): kite,
    ("balloon", ""): balloon,
    ("umbrella", ""): umbrella,
}
PATTERNS = {**ANIMALS, **PEOPLE, **TOYS_AND_FURNITURE}


@cache
def pattern(kind: str, pose: str) -> Pattern:
    """The pattern of a kind of thing in a pose, cut once."""
    return Pattern(PATTERNS[kind, pose]())


@dataclass(frozen=True)
class Kind:
    """What the world knows of a kind of thing.

    Attributes:
        height: of a middle-sized one that stands at the front of a picture, as a share of the picture's side.
        colours: those that it comes in.
        poses: those that it takes on the ground.
        settings: where it is at home.
    """

    height: float
    colours: tuple[str, ...]
    poses: tuple[str, ...]
    settings: tuple[str, ...]


FUR = ("black", "white", "brown", "grey", "orange", "yellow")
BRIGHT = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
HOUSE = ("red", "yellow", "green", "blue", "purple", "pink", "white", "brown", "grey")
ROAD = ("red", "orange", "yellow", "green", "blue", "white", "black", "pink")
SETTINGS = ("park", "beach", "room", "street")
OUTSIDE = ("park", "beach", "street")

KINDS = {
    "cat": Kind(0.24, FUR, ("sitting", "standing", "sleeping"), SETTINGS),
    "dog": Kind(0.27, FUR, ("sitting", "standing"), SETTINGS),
    "rabbit": Kind(0.23, ("white", "brown", "grey", "black", "pink"), ("sitting", "standing"), ("park", "room")),
    "horse": Kind(0.42, ("brown", "white", "black", "grey", "orange"), ("standing", "grazing"), ("park", "beach")),
    "bird": Kind(0.16, ("red", "blue", "yellow", "green", "white", "black", "brown"), ("standing",), SETTINGS),
    "child": Kind(0.36, BRIGHT, ("standing", "sitting", "waving"), SETTINGS),
    "chair": Kind(0.32, HOUSE, ("",), ("room", "beach", "park")),
    "table": Kind(0.26, HOUSE, ("",), ("room", "park")),
    "sofa": Kind(0.25, HOUSE, ("",), ("room",)),
    "lamp": Kind(0.36, BRIGHT, ("",), ("room",)),
    "car": Kind(0.22, ROAD, ("",), ("street",)),
    "bus": Kind(0.29, ROAD, ("",), ("street",)),
    "bicycle": Kind(0.26, ROAD, ("",), ("street", "park", "beach")),
    "boat": Kind(0.4, ROAD, ("",), ("beach",)),
    "tree": Kind(0.6, ("green", "orange", "yellow", "red", "pink"), ("",), ("park", "street")),
    "flower": Kind(
        0.24, ("red", "orange", "pink", "purple", "blue", "white", "yellow"), ("",), ("park", "room", "street")
    ),
    "ball": Kind(0.13, BRIGHT, ("",), SETTINGS),
    "kite": Kind(0.32, BRIGHT, ("",), ("park", "beach")),
    "balloon": Kind(0.4, BRIGHT, ("",), SETTINGS),
    "teddy bear": Kind(0.23, ("brown", "white", "pink", "yellow", "blue", "grey"), ("sitting",), SETTINGS),
    "umbrella": Kind(0.42, BRIGHT, ("",), OUTSIDE),
}
