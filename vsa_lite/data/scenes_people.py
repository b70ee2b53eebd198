"""Patterns of the scenes' children and teddy bears (see `scenes_paper` for how a pattern is cut)."""

from __future__ import annotations

from vsa_lite.data.scenes_paper import Part, blob, box, cut, oval, strip

PINK = (236, 150, 158)
BOOT = (92, 70, 62)
TROUSERS = (70, 84, 120)


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
            Part(strip([(-0.05, 0.1), (0.16, 0.1), (0.3, 0.09)], 0.1), TROUSERS),
            Part(box(0.28, 0.02, 0.38, 0.17, 0.03), BOOT),
        ]
        base, parts = 0.03, []
    else:
        legs = [
            Part(box(-0.1, 0.02, -0.01, 0.3), TROUSERS),
            Part(box(0.01, 0.02, 0.1, 0.3), TROUSERS),
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


PEOPLE = {
    ("child", "standing"): lambda: child("standing"),
    ("child", "sitting"): lambda: child("sitting"),
    ("child", "waving"): lambda: child("waving"),
    ("teddy bear", "sitting"): teddy,
}
