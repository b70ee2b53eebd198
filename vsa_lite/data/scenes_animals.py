"""Patterns of the scenes' animals, children and teddy bears (see `scenes_paper` for how a pattern is cut)."""

from __future__ import annotations

from vsa_lite.data.scenes_paper import Part, blob, box, cut, oval, strip

PINK = (236, 150, 158)
BEAK = (244, 170, 58)
WHITE = (250, 247, 240)
BOOT = (92, 70, 62)


def cat_face(x: float, y: float, r: float) -> list[Part]:
    return [
        Part(cut((x - 0.98 * r, y + 0.1 * r), (x - 0.92 * r, y + 1.42 * r), (x - 0.05 * r, y + 0.75 * r)), "main"),
        Part(cut((x + 0.98 * r, y + 0.1 * r), (x + 0.92 * r, y + 1.42 * r), (x + 0.05 * r, y + 0.75 * r)), "main"),
        Part(cut((x - 0.8 * r, y + 0.5 * r), (x - 0.78 * r, y + 1.1 * r), (x - 0.35 * r, y + 0.75 * r)), PINK),
        Part(cut((x + 0.8 * r, y + 0.5 * r), (x + 0.78 * r, y + 1.1 * r), (x + 0.35 * r, y + 0.75 * r)), PINK),
        Part(oval(x, y, 1.12 * r, 0.92 * r), "main"),
        Part(cut((x - 0.1 * r, y + 0.9 * r), (x + 0.1 * r, y + 0.9 * r), (x, y + 0.42 * r)), "dark"),
        Part(cut((x - 0.42 * r, y + 0.82 * r), (x - 0.24 * r, y + 0.88 * r), (x - 0.24 * r, y + 0.5 * r)), "dark"),
        Part(cut((x + 0.42 * r, y + 0.82 * r), (x + 0.24 * r, y + 0.88 * r), (x + 0.24 * r, y + 0.5 * r)), "dark"),
        Part(oval(x - 0.22 * r, y - 0.36 * r, 0.34 * r, 0.28 * r), "light"),
        Part(oval(x + 0.22 * r, y - 0.36 * r, 0.34 * r, 0.28 * r), "light"),
        Part(oval(x - 0.46 * r, y + 0.08 * r, 0.17 * r, 0.2 * r), "eye"),
        Part(oval(x + 0.46 * r, y + 0.08 * r, 0.17 * r, 0.2 * r), "eye"),
        Part(cut((x - 0.15 * r, y - 0.12 * r), (x + 0.15 * r, y - 0.12 * r), (x, y - 0.32 * r)), "nose"),
    ]


def cat_sitting() -> list[Part]:
    return [
        Part(strip([(-0.15, 0.06), (-0.4, 0.06), (-0.52, 0.24), (-0.44, 0.46)], 0.11, 0.07), "dark"),
        Part(blob([(-0.29, 0.02), (-0.28, 0.26), (-0.16, 0.52), (0.16, 0.52), (0.27, 0.26), (0.28, 0.02)]), "main"),
        Part(blob([(-0.1, 0.16), (-0.12, 0.42), (0.12, 0.42), (0.1, 0.16)]), "light"),
        Part(oval(-0.13, 0.05, 0.11, 0.06), "light"),
        Part(oval(0.13, 0.05, 0.11, 0.06), "light"),
        *cat_face(0.0, 0.67, 0.235),
    ]


def cat_standing() -> list[Part]:
    return [
        Part(strip([(-0.5, 0.5), (-0.68, 0.56), (-0.72, 0.78), (-0.62, 0.98)], 0.1, 0.07), "dark"),
        Part(box(-0.4, 0.0, -0.28, 0.4, 0.05), "dark"),
        Part(box(0.22, 0.0, 0.34, 0.4, 0.05), "dark"),
        Part(
            blob([(-0.56, 0.4), (-0.5, 0.62), (0.0, 0.6), (0.4, 0.62), (0.46, 0.36), (0.0, 0.28), (-0.42, 0.28)]),
            "main",
        ),
        Part(box(-0.54, 0.0, -0.41, 0.45, 0.05), "main"),
        Part(box(0.35, 0.0, 0.48, 0.45, 0.05), "main"),
        Part(cut((-0.3, 0.62), (-0.2, 0.62), (-0.24, 0.44)), "dark"),
        Part(cut((-0.1, 0.61), (0.0, 0.61), (-0.04, 0.44)), "dark"),
        *cat_face(0.48, 0.7, 0.22),
    ]


def cat_lying() -> list[Part]:
    return [
        Part(blob([(-0.7, 0.04), (-0.78, 0.3), (-0.4, 0.6), (0.2, 0.56), (0.6, 0.3), (0.62, 0.03)]), "main"),
        Part(cut((-0.4, 0.59), (-0.28, 0.6), (-0.36, 0.36)), "dark"),
        Part(cut((-0.16, 0.61), (-0.04, 0.6), (-0.12, 0.36)), "dark"),
        Part(strip([(-0.66, 0.1), (-0.3, 0.07), (0.02, 0.07), (0.2, 0.12)], 0.12, 0.1), "dark"),
        *sleepy(cat_face(0.5, 0.38, 0.3), 0.5, 0.38, 0.3),
    ]


def sleepy(face: list[Part], x: float, y: float, r: float) -> list[Part]:
    """The same face with its eyes closed."""
    closed = [
        Part(strip([(e - 0.2 * r, y + 0.12 * r), (e, y - 0.02 * r), (e + 0.2 * r, y + 0.12 * r)], 0.1 * r), "eye")
        for e in (x - 0.46 * r, x + 0.46 * r)
    ]
    return [part for part in face if part.paper != "eye"] + closed


def dog_face(x: float, y: float, r: float) -> list[Part]:
    return [
        Part(oval(x, y, r, 0.96 * r), "main"),
        Part(
            blob(
                [
                    (x - 0.55 * r, y + 0.9 * r),
                    (x - 1.15 * r, y + 0.5 * r),
                    (x - 1.25 * r, y - 0.5 * r),
                    (x - 0.85 * r, y - 0.45 * r),
                    (x - 0.7 * r, y + 0.3 * r),
                ]
            ),
            "dark",
        ),
        Part(
            blob(
                [
                    (x + 0.55 * r, y + 0.9 * r),
                    (x + 1.15 * r, y + 0.5 * r),
                    (x + 1.25 * r, y - 0.5 * r),
                    (x + 0.85 * r, y - 0.45 * r),
                    (x + 0.7 * r, y + 0.3 * r),
                ]
            ),
            "dark",
        ),
        Part(oval(x, y - 0.38 * r, 0.56 * r, 0.46 * r), "light"),
        Part(
            blob(
                [
                    (x - 0.16 * r, y - 0.5 * r),
                    (x + 0.16 * r, y - 0.5 * r),
                    (x + 0.14 * r, y - 0.95 * r),
                    (x - 0.14 * r, y - 0.95 * r),
                ]
            ),
            PINK,
        ),
        Part(oval(x, y - 0.2 * r, 0.22 * r, 0.16 * r), (40, 34, 38)),
        Part(oval(x - 0.36 * r, y + 0.24 * r, 0.12 * r, 0.15 * r), "eye"),
        Part(oval(x + 0.36 * r, y + 0.24 * r, 0.12 * r, 0.15 * r), "eye"),
    ]


def dog_sitting() -> list[Part]:
    return [
        Part(strip([(-0.2, 0.1), (-0.42, 0.18), (-0.5, 0.36)], 0.12, 0.05), "main"),
        Part(blob([(-0.28, 0.02), (-0.3, 0.22), (-0.18, 0.54), (0.18, 0.54), (0.3, 0.22), (0.28, 0.02)]), "main"),
        Part(blob([(-0.12, 0.2), (-0.14, 0.46), (0.14, 0.46), (0.12, 0.2)]), "light"),
        Part(box(-0.17, 0.0, -0.04, 0.3, 0.05), "main"),
        Part(box(0.04, 0.0, 0.17, 0.3, 0.05), "main"),
        Part(oval(-0.12, 0.04, 0.11, 0.05), "light"),
        Part(oval(0.12, 0.04, 0.11, 0.05), "light"),
        *dog_face(0.0, 0.73, 0.255),
        Part(strip([(-0.17, 0.5), (0.0, 0.465), (0.17, 0.5)], 0.06), (206, 66, 58)),
        Part(oval(0.0, 0.44, 0.04), (248, 204, 78)),
    ]


def dog_standing() -> list[Part]:
    return [
        Part(strip([(-0.5, 0.54), (-0.66, 0.68), (-0.7, 0.9)], 0.12, 0.05), "main"),
        Part(box(-0.42, 0.0, -0.29, 0.4, 0.05), "dark"),
        Part(box(0.18, 0.0, 0.31, 0.4, 0.05), "dark"),
        Part(
            blob([(-0.58, 0.46), (-0.48, 0.66), (0.0, 0.62), (0.4, 0.68), (0.48, 0.4), (0.0, 0.3), (-0.46, 0.3)]),
            "main",
        ),
        Part(oval(-0.2, 0.52, 0.15, 0.1), "dark"),
        Part(box(-0.57, 0.0, -0.43, 0.5, 0.05), "main"),
        Part(box(0.32, 0.0, 0.46, 0.5, 0.05), "main"),
        *dog_face(0.46, 0.77, 0.24),
    ]


def rabbit_sitting() -> list[Part]:
    return [
        Part(oval(-0.3, 0.14, 0.11), WHITE),
        Part(blob([(-0.3, 0.02), (-0.3, 0.24), (-0.1, 0.44), (0.14, 0.42), (0.28, 0.2), (0.26, 0.02)]), "main"),
        Part(blob([(-0.08, 0.6), (-0.22, 0.8), (-0.2, 1.02), (-0.08, 0.98), (0.02, 0.7)]), "main"),
        Part(blob([(0.2, 0.6), (0.3, 0.8), (0.28, 1.02), (0.16, 0.98), (0.08, 0.7)]), "main"),
        Part(blob([(-0.07, 0.68), (-0.16, 0.82), (-0.15, 0.94), (-0.09, 0.92), (-0.03, 0.74)]), PINK),
        Part(blob([(0.18, 0.68), (0.24, 0.82), (0.23, 0.94), (0.17, 0.92), (0.12, 0.74)]), PINK),
        Part(oval(0.06, 0.52, 0.23, 0.2), "main"),
        Part(oval(0.06, 0.44, 0.13, 0.09), "light"),
        Part(oval(-0.04, 0.55, 0.036, 0.046), "eye"),
        Part(oval(0.17, 0.55, 0.036, 0.046), "eye"),
        Part(oval(0.065, 0.475, 0.035, 0.025), "nose"),
        Part(box(0.035, 0.38, 0.095, 0.43), WHITE),
        Part(oval(-0.12, 0.06, 0.17, 0.065), "light"),
        Part(oval(0.17, 0.05, 0.11, 0.055), "light"),
    ]


def rabbit_standing() -> list[Part]:
    return [
        Part(oval(-0.19, 0.14, 0.08), WHITE),
        Part(blob([(-0.18, 0.02), (-0.2, 0.22), (-0.12, 0.46), (0.12, 0.46), (0.2, 0.22), (0.18, 0.02)]), "main"),
        Part(blob([(-0.09, 0.1), (-0.1, 0.38), (0.1, 0.38), (0.09, 0.1)]), "light"),
        Part(strip([(-0.13, 0.4), (-0.2, 0.3), (-0.12, 0.22)], 0.075), "dark"),
        Part(strip([(0.13, 0.4), (0.2, 0.3), (0.12, 0.22)], 0.075), "dark"),
        Part(blob([(-0.11, 0.64), (-0.17, 0.84), (-0.12, 1.01), (-0.04, 0.94), (-0.01, 0.7)]), "main"),
        Part(blob([(0.11, 0.64), (0.17, 0.84), (0.12, 1.01), (0.04, 0.94), (0.01, 0.7)]), "main"),
        Part(blob([(-0.09, 0.7), (-0.12, 0.84), (-0.1, 0.94), (-0.06, 0.88), (-0.04, 0.72)]), PINK),
        Part(blob([(0.09, 0.7), (0.12, 0.84), (0.1, 0.94), (0.06, 0.88), (0.04, 0.72)]), PINK),
        Part(oval(0.0, 0.57, 0.18, 0.16), "main"),
        Part(oval(0.0, 0.51, 0.1, 0.075), "light"),
        Part(oval(-0.085, 0.6, 0.03, 0.04), "eye"),
        Part(oval(0.085, 0.6, 0.03, 0.04), "eye"),
        Part(oval(0.0, 0.54, 0.03, 0.022), "nose"),
        Part(oval(-0.1, 0.03, 0.12, 0.045), "light"),
        Part(oval(0.1, 0.03, 0.12, 0.045), "light"),
    ]


def horse(grazing: bool = False) -> list[Part]:
    body = [
        Part(strip([(-0.42, 0.6), (-0.58, 0.52), (-0.6, 0.22)], 0.1, 0.07), "dark"),
        Part(box(-0.28, 0.0, -0.19, 0.42, 0.03), "dark"),
        Part(box(0.14, 0.0, 0.23, 0.42, 0.03), "dark"),
        Part(
            blob([(-0.48, 0.5), (-0.4, 0.66), (0.0, 0.62), (0.32, 0.68), (0.4, 0.46), (0.0, 0.36), (-0.38, 0.36)]),
            "main",
        ),
        Part(box(-0.43, 0.0, -0.33, 0.52, 0.03), "main"),
        Part(box(0.27, 0.0, 0.37, 0.52, 0.03), "main"),
    ]
    hooves = [
        Part(box(x, 0.0, x + w, 0.06), (62, 52, 52))
        for x, w in ((-0.43, 0.1), (0.27, 0.1), (-0.28, 0.09), (0.14, 0.09))
    ]
    if grazing:
        head = [
            Part(cut((0.16, 0.66), (0.38, 0.6), (0.62, 0.3), (0.5, 0.2), (0.3, 0.4)), "main"),
            Part(blob([(0.5, 0.38), (0.64, 0.34), (0.68, 0.08), (0.6, 0.01), (0.52, 0.06), (0.46, 0.26)]), "main"),
            Part(blob([(0.53, 0.1), (0.67, 0.12), (0.66, 0.03), (0.6, 0.0), (0.53, 0.03)]), "light"),
            Part(cut((0.6, 0.34), (0.7, 0.42), (0.52, 0.42)), "main"),
            Part(blob([(0.16, 0.69), (0.4, 0.66), (0.62, 0.42), (0.58, 0.34), (0.38, 0.56)]), "dark"),
            Part(oval(0.6, 0.25, 0.022, 0.028), "eye"),
        ]
    else:
        head = [
            Part(cut((0.1, 0.66), (0.38, 0.5), (0.52, 0.82), (0.36, 0.92)), "main"),
            Part(blob([(0.34, 0.92), (0.48, 0.94), (0.68, 0.76), (0.7, 0.66), (0.62, 0.62), (0.42, 0.76)]), "main"),
            Part(blob([(0.6, 0.76), (0.7, 0.74), (0.71, 0.66), (0.63, 0.62), (0.58, 0.68)]), "light"),
            Part(cut((0.36, 0.9), (0.36, 1.02), (0.45, 0.92)), "main"),
            Part(blob([(0.08, 0.69), (0.18, 0.84), (0.34, 0.98), (0.42, 0.93), (0.34, 0.84), (0.24, 0.68)]), "dark"),
            Part(oval(0.48, 0.85, 0.022, 0.028), "eye"),
        ]
    return body + hooves + head


def bird_standing() -> list[Part]:
    return [
        Part(box(-0.1, 0.0, -0.05, 0.2), BEAK),
        Part(box(0.07, 0.0, 0.12, 0.2), BEAK),
        Part(box(-0.12, 0.0, 0.02, 0.045), BEAK),
        Part(box(0.05, 0.0, 0.19, 0.045), BEAK),
        Part(cut((-0.3, 0.4), (-0.74, 0.5), (-0.68, 0.36), (-0.3, 0.24)), "dark"),
        Part(
            blob(
                [
                    (-0.44, 0.42),
                    (-0.24, 0.16),
                    (0.18, 0.14),
                    (0.4, 0.4),
                    (0.44, 0.78),
                    (0.24, 0.98),
                    (0.0, 0.88),
                    (-0.1, 0.66),
                ]
            ),
            "main",
        ),
        Part(blob([(0.02, 0.2), (0.3, 0.3), (0.34, 0.54), (0.12, 0.5)]), "light"),
        Part(blob([(-0.46, 0.44), (-0.16, 0.2), (0.1, 0.3), (0.06, 0.58), (-0.16, 0.56)]), "dark"),
        Part(cut((0.42, 0.84), (0.68, 0.72), (0.42, 0.66)), BEAK),
        Part(oval(0.26, 0.78, 0.06, 0.07), "eye"),
    ]


def bird_flying() -> list[Part]:
    return [
        Part(blob([(0.1, 0.5), (0.24, 0.92), (0.1, 1.02), (-0.14, 0.86), (-0.18, 0.5)]), "dark"),
        Part(cut((-0.4, 0.42), (-0.86, 0.6), (-0.8, 0.4), (-0.86, 0.22), (-0.4, 0.26)), "dark"),
        Part(
            blob(
                [
                    (-0.52, 0.36),
                    (-0.2, 0.16),
                    (0.24, 0.16),
                    (0.52, 0.36),
                    (0.48, 0.54),
                    (0.3, 0.6),
                    (0.1, 0.52),
                    (-0.2, 0.5),
                ]
            ),
            "main",
        ),
        Part(blob([(0.0, 0.22), (0.26, 0.2), (0.44, 0.34), (0.2, 0.34)]), "light"),
        Part(blob([(0.06, 0.42), (-0.06, 0.86), (-0.3, 0.98), (-0.46, 0.84), (-0.36, 0.44)]), "main"),
        Part(strip([(-0.34, 0.86), (-0.26, 0.54)], 0.04), "dark"),
        Part(strip([(-0.2, 0.84), (-0.14, 0.54)], 0.04), "dark"),
        Part(cut((0.52, 0.5), (0.74, 0.42), (0.52, 0.34)), BEAK),
        Part(oval(0.37, 0.47, 0.045, 0.05), "eye"),
    ]


def child_head(x: float, y: float) -> list[Part]:
    return [
        Part(oval(x, y + 0.02, 0.155, 0.15), "hair"),
        Part(oval(x, y - 0.015, 0.13, 0.125), "skin"),
        Part(
            blob(
                [
                    (x - 0.15, y + 0.02),
                    (x - 0.12, y + 0.15),
                    (x, y + 0.18),
                    (x + 0.12, y + 0.15),
                    (x + 0.15, y + 0.02),
                    (x + 0.04, y + 0.08),
                ]
            ),
            "hair",
        ),
        Part(oval(x - 0.05, y - 0.01, 0.016, 0.02), (50, 40, 44)),
        Part(oval(x + 0.05, y - 0.01, 0.016, 0.02), (50, 40, 44)),
        Part(strip([(x - 0.045, y - 0.06), (x, y - 0.085), (x + 0.045, y - 0.06)], 0.018), (190, 70, 66)),
        Part(oval(x - 0.085, y - 0.05, 0.024, 0.018), PINK),
        Part(oval(x + 0.085, y - 0.05, 0.024, 0.018), PINK),
    ]


def child(pose: str) -> list[Part]:
    if pose == "sitting":
        legs = [
            Part(strip([(-0.05, 0.1), (0.16, 0.1), (0.3, 0.09)], 0.1), (70, 84, 120)),
            Part(box(0.28, 0.02, 0.38, 0.17, 0.03), BOOT),
        ]
        base, parts = 0.03, []
    else:
        legs = [
            Part(box(-0.1, 0.02, -0.01, 0.3), (70, 84, 120)),
            Part(box(0.01, 0.02, 0.1, 0.3), (70, 84, 120)),
            Part(box(-0.13, 0.0, -0.005, 0.08, 0.03), BOOT),
            Part(box(0.005, 0.0, 0.13, 0.08, 0.03), BOOT),
        ]
        base, parts = 0.22, legs
        legs = []
    top = base + 0.44
    arm = top - 0.09
    reach = (
        ((0.13, arm), (0.24, arm + 0.03), (0.3, arm + 0.18))
        if pose == "waving"
        else ((0.13, arm), (0.21, arm - 0.1), (0.2, arm - 0.22))
    )
    return [
        *parts,
        Part(oval(reach[-1][0], reach[-1][1], 0.045), "skin"),
        Part(oval(-0.2, arm - 0.23, 0.045), "skin"),
        Part(strip(reach, 0.09), "dark"),
        Part(strip([(-0.13, arm), (-0.21, arm - 0.1), (-0.2, arm - 0.22)], 0.09), "dark"),
        Part(cut((-0.12, top), (0.12, top), (0.2, base), (-0.2, base)), "main"),
        Part(strip([(0.0, top - 0.02), (0.0, base)], 0.018), "dark"),
        Part(oval(0.04, base + 0.28, 0.02), "trim"),
        Part(oval(0.04, base + 0.16, 0.02), "trim"),
        *legs,
        Part(strip([(-0.12, top), (0.0, top - 0.02), (0.12, top)], 0.07), "trim"),
        *child_head(0.0, top + 0.12),
    ]


def teddy() -> list[Part]:
    return [
        Part(oval(-0.24, 0.93, 0.1), "main"),
        Part(oval(0.24, 0.93, 0.1), "main"),
        Part(oval(-0.24, 0.93, 0.055), "light"),
        Part(oval(0.24, 0.93, 0.055), "light"),
        Part(oval(-0.32, 0.38, 0.1, 0.18, -35), "dark"),
        Part(oval(0.32, 0.38, 0.1, 0.18, 35), "dark"),
        Part(oval(0.0, 0.3, 0.28, 0.3), "main"),
        Part(oval(0.0, 0.28, 0.17, 0.19), "light"),
        Part(oval(-0.27, 0.11, 0.14, 0.12), "dark"),
        Part(oval(0.27, 0.11, 0.14, 0.12), "dark"),
        Part(oval(-0.27, 0.1, 0.08, 0.065), "light"),
        Part(oval(0.27, 0.1, 0.08, 0.065), "light"),
        Part(oval(0.0, 0.74, 0.3, 0.25), "main"),
        Part(oval(0.0, 0.66, 0.14, 0.11), "light"),
        Part(oval(0.0, 0.7, 0.05, 0.036), (52, 40, 40)),
        Part(oval(-0.11, 0.79, 0.033), "eye"),
        Part(oval(0.11, 0.79, 0.033), "eye"),
        Part(cut((0.0, 0.51), (-0.15, 0.58), (-0.15, 0.44)), (206, 66, 58)),
        Part(cut((0.0, 0.51), (0.15, 0.58), (0.15, 0.44)), (206, 66, 58)),
    ]


ANIMALS = {
    ("cat", "sitting"): cat_sitting,
    ("cat", "standing"): cat_standing,
    ("cat", "sleeping"): cat_lying,
    ("dog", "sitting"): dog_sitting,
    ("dog", "standing"): dog_standing,
    ("rabbit", "sitting"): rabbit_sitting,
    ("rabbit", "standing"): rabbit_standing,
    ("horse", "standing"): horse,
    ("horse", "grazing"): lambda: horse(grazing=True),
    ("bird", "standing"): bird_standing,
    ("bird", "flying"): bird_flying,
    ("child", "standing"): lambda: child("standing"),
    ("child", "sitting"): lambda: child("sitting"),
    ("child", "waving"): lambda: child("waving"),
    ("teddy bear", "sitting"): teddy,
}
