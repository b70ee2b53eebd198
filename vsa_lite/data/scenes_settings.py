"""The four settings of the scenes: layers of coloured paper behind the things."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from vsa_lite.data.scenes_paper import CANVAS, Colour, blob, box, cut, mix, oval

# where things stand: the share of the picture's height at which the ground begins, far things stand, near things stand
GROUND = {
    "park": (0.56, 0.63, 0.97),
    "beach": (0.6, 0.66, 0.97),
    "room": (0.64, 0.72, 0.97),
    "street": (0.56, 0.67, 0.97),
}
WEATHERS = ("sunny", "cloudy", "evening")
SKY = {"sunny": (172, 216, 238), "cloudy": (196, 204, 212), "evening": (248, 196, 160)}
LIGHT = {"sunny": (255, 255, 255), "cloudy": (214, 218, 226), "evening": (250, 206, 170)}

EDGE = (0.004, -0.006)


def draw_setting(setting: str, weather: str, look: int) -> Image.Image:
    """The empty canvas of a setting; `look` is the seed of everything in it that varies."""
    rng = np.random.default_rng(look)
    canvas = Image.new("RGB", (CANVAS, CANVAS), _tint(SKY[weather], rng, 6))
    {"park": _park, "beach": _beach, "room": _room, "street": _street}[setting](ImageDraw.Draw(canvas), weather, rng)
    return canvas


def _tint(colour: Colour, rng: np.random.Generator, by: float) -> Colour:
    return tuple(int(c) for c in np.clip(np.asarray(colour) + rng.normal(0, by, 3), 0, 255))


def _layer(draw: ImageDraw.ImageDraw, shape: np.ndarray, colour: Colour, edge: tuple[float, float] = (0, 0)) -> None:
    """One piece of paper; `shape` in shares of the canvas, y down; `edge` moves the dark paper that shows behind it."""
    if any(edge):
        draw.polygon(((shape + edge) * CANVAS).round(2).ravel().tolist(), fill=mix(colour, (60, 52, 80), 0.3))
    draw.polygon((shape * CANVAS).round(2).ravel().tolist(), fill=colour)


def _land(top: float, wave: float, rng: np.random.Generator) -> np.ndarray:
    """Everything below a wavy line."""
    x = np.linspace(-0.05, 1.05, 24)
    y = top + wave * (np.sin(x * rng.uniform(3, 7) + rng.uniform(0, 6)) + 0.4 * np.sin(x * 11 + rng.uniform(0, 6)))
    return np.concatenate([np.stack([x, y], axis=1), [(1.05, 1.05), (-0.05, 1.05)]])


def _sky(draw: ImageDraw.ImageDraw, weather: str, rng: np.random.Generator) -> None:
    sun_x = rng.uniform(0.1, 0.9)
    if weather == "sunny":
        _layer(draw, oval(sun_x, 0.13, 0.1), (255, 236, 170))
        _layer(draw, oval(sun_x, 0.13, 0.07), (255, 214, 92))
    elif weather == "evening":
        _layer(draw, oval(sun_x, 0.4, 0.17), (255, 222, 176))
        _layer(draw, oval(sun_x, 0.4, 0.11), (246, 134, 92))
    for _ in range(int(rng.integers(1, 3)) + 2 * (weather == "cloudy")):
        x, y, s = rng.uniform(0.0, 1.0), rng.uniform(0.06, 0.3), rng.uniform(0.05, 0.09)
        paper = mix((250, 250, 250), SKY[weather], 0.35 if weather != "sunny" else 0.12)
        parts = [oval(x - s, y, s, 0.6 * s), oval(x + s, y, 1.1 * s, 0.6 * s), oval(x, y - 0.5 * s, s, 0.75 * s)]
        for part in parts:
            _layer(draw, part, paper)


def _park(draw: ImageDraw.ImageDraw, weather: str, rng: np.random.Generator) -> None:
    _sky(draw, weather, rng)
    light = LIGHT[weather]
    grass = _tint((172, 204, 122), rng, 7)
    _layer(draw, _land(0.43, 0.03, rng), mix(mix(grass, (120, 176, 170), 0.55), light, 0.2))
    _layer(draw, _land(0.49, 0.025, rng), mix(mix(grass, (110, 170, 120), 0.5), light, 0.1), edge=EDGE)
    if rng.random() < 0.5:  # a fence
        paper = mix((246, 240, 226), light, 0.3)
        for y in (0.525, 0.55):
            _layer(draw, box(-0.02, y, 1.02, y + 0.009), paper)
        for x in np.arange(0.0, 1.05, 0.055):
            _layer(draw, cut((x, 0.515), (x + 0.011, 0.505), (x + 0.022, 0.515), (x + 0.022, 0.585), (x, 0.585)), paper)
    _layer(draw, _land(0.57, 0.01, rng), mix(grass, light, 0.12), edge=EDGE)
    if rng.random() < 0.6:  # a path
        x, bend, paper = rng.uniform(0.2, 0.8), rng.uniform(-0.25, 0.25), mix((236, 220, 180), light, 0.2)
        path = [
            (x, 0.575),
            (x + 0.03, 0.575),
            (x + bend + 0.12, 0.75),
            (x + 0.24, 1.03),
            (x - 0.14, 1.03),
            (x + bend, 0.75),
        ]
        _layer(draw, blob(path), paper)
    for x, y in zip(rng.uniform(0, 1, 14), rng.uniform(0.6, 0.98, 14), strict=True):  # blades of grass
        h = 0.016 + 0.03 * (y - 0.58)
        _layer(
            draw,
            cut((x, y), (x + 0.006, y - h), (x + 0.012, y), (x + 0.02, y - 0.7 * h), (x + 0.022, y)),
            mix(grass, (60, 110, 60), 0.3),
        )


def _beach(draw: ImageDraw.ImageDraw, weather: str, rng: np.random.Generator) -> None:
    _sky(draw, weather, rng)
    light = LIGHT[weather]
    sea = _tint((92, 172, 196), rng, 8)
    _layer(draw, box(-0.05, 0.43, 1.05, 0.75), mix(sea, light, 0.3))
    _layer(draw, _land(0.48, 0.006, rng), mix(sea, light, 0.12), edge=EDGE)
    _layer(draw, _land(0.54, 0.008, rng), sea, edge=EDGE)
    shore = _land(0.6, 0.014, rng)
    _layer(draw, shore - (0, 0.016), mix((252, 252, 250), light, 0.2), edge=EDGE)
    sand = _tint((240, 218, 168), rng, 5)
    _layer(draw, shore, mix(sand, light, 0.1))
    for x, y in zip(rng.uniform(0, 1, 10), rng.uniform(0.66, 0.98, 10), strict=True):  # ripples in the sand
        _layer(draw, oval(x, y, 0.035, 0.004), mix(sand, (190, 150, 100), 0.35))
    for x, y in zip(rng.uniform(0.05, 0.95, 3), rng.uniform(0.72, 0.97, 3), strict=True):  # shells
        _layer(
            draw, cut((x - 0.016, y - 0.012), (x, y - 0.02), (x + 0.016, y - 0.012), (x, y + 0.008)), (244, 190, 176)
        )


def _room(draw: ImageDraw.ImageDraw, weather: str, rng: np.random.Generator) -> None:
    walls = ((240, 222, 198), (206, 222, 216), (228, 208, 216), (216, 218, 234), (242, 232, 196))
    wall = _tint(walls[int(rng.integers(len(walls)))], rng, 4)
    _layer(draw, box(-0.05, -0.05, 1.05, 0.7), wall)
    if rng.random() < 0.6:  # striped wallpaper
        for x in np.arange(rng.uniform(-0.06, 0.0), 1.05, 0.12):
            _layer(draw, box(x, -0.05, x + 0.05, 0.64), mix(wall, (255, 255, 255), 0.3))
    x = rng.uniform(0.04, 0.66)  # a window that shows the weather
    _layer(draw, box(x, 0.08, x + 0.3, 0.4), (252, 248, 238), edge=EDGE)
    for dx in (0.02, 0.16):
        _layer(draw, box(x + dx, 0.1, x + dx + 0.12, 0.38), SKY[weather])
        _layer(draw, box(x + dx, 0.33, x + dx + 0.12, 0.38), mix((150, 190, 130), LIGHT[weather], 0.2))
    curtain = mix(_tint((196, 120, 110), rng, 24), wall, 0.25)
    for side in (0, 1):
        a, b = (x - 0.05, x + 0.045) if not side else (x + 0.35, x + 0.255)
        _layer(draw, cut((a, 0.06), (b, 0.06), ((a + b) / 2 - 0.01 + 0.02 * side, 0.44), (a, 0.44)), curtain)
    frame_x = x + 0.44 if x < 0.3 else x - 0.26  # a framed picture
    if 0.02 < frame_x < 0.84:
        _layer(draw, box(frame_x, 0.14, frame_x + 0.14, 0.32), (150, 108, 76), edge=EDGE)
        _layer(draw, box(frame_x + 0.015, 0.155, frame_x + 0.125, 0.305), (240, 234, 216))
        _layer(
            draw,
            cut((frame_x + 0.02, 0.3), (frame_x + 0.06, 0.21), (frame_x + 0.12, 0.3)),
            _tint((120, 150, 170), rng, 20),
        )
    floor = _tint((206, 166, 122), rng, 8)
    _layer(draw, box(-0.05, 0.64, 1.05, 1.05), floor, edge=EDGE)
    for y in (0.68, 0.74, 0.82, 0.92):
        _layer(draw, box(-0.05, y, 1.05, y + 0.004), mix(floor, (110, 70, 40), 0.3))
    _layer(draw, box(-0.05, 0.625, 1.05, 0.648), (250, 246, 236))
    if rng.random() < 0.7:  # a rug
        x, rug = rng.uniform(0.35, 0.65), mix(_tint((150, 150, 180), rng, 34), (255, 255, 255), 0.3)
        _layer(draw, oval(x, 0.85, 0.36, 0.085, n=32), rug)
        _layer(draw, oval(x, 0.85, 0.29, 0.064, n=32), mix(rug, (255, 255, 255), 0.4))
        _layer(draw, oval(x, 0.85, 0.24, 0.05, n=32), rug)


def _street(draw: ImageDraw.ImageDraw, weather: str, rng: np.random.Generator) -> None:
    _sky(draw, weather, rng)
    light = LIGHT[weather]
    x, fronts = (
        rng.uniform(-0.15, 0.0),
        ((226, 178, 150), (206, 206, 178), (178, 198, 206), (232, 208, 160), (212, 180, 192)),
    )
    while x < 1.0:  # a row of houses
        w, top = rng.uniform(0.2, 0.3), rng.uniform(0.16, 0.3)
        front = mix(_tint(fronts[int(rng.integers(len(fronts)))], rng, 6), light, 0.12)
        _layer(draw, box(x, top, x + w, 0.62), front, edge=EDGE)
        if rng.random() < 0.6:
            _layer(
                draw,
                cut((x - 0.015, top + 0.01), (x + w / 2, top - 0.09), (x + w + 0.015, top + 0.01)),
                mix(front, (140, 70, 60), 0.5),
            )
        else:
            _layer(draw, box(x - 0.01, top - 0.015, x + w + 0.01, top + 0.015), mix(front, (90, 80, 90), 0.4))
        pane = mix((255, 232, 160), front, 0.1) if weather == "evening" else mix((226, 240, 244), front, 0.2)
        for row in np.arange(top + 0.05, 0.44, 0.11):
            for column in (0.14, 0.58):
                wx = x + column * w
                _layer(draw, box(wx, row, wx + 0.28 * w, row + 0.07), pane)
                _layer(
                    draw,
                    box(wx - 0.004, row + 0.07, wx + 0.28 * w + 0.004, row + 0.078),
                    mix(front, (255, 255, 255), 0.6),
                )
        _layer(draw, box(x + 0.4 * w, 0.47, x + 0.62 * w, 0.6), mix(front, (90, 60, 60), 0.55))
        x += w
    pavement, road = mix((222, 214, 204), light, 0.1), mix(_tint((148, 148, 156), rng, 5), light, 0.12)
    _layer(draw, box(-0.05, 0.57, 1.05, 0.74), pavement, edge=EDGE)
    for x in np.arange(0.0, 1.05, 0.1):
        _layer(
            draw,
            cut((x, 0.57), (x + 0.004, 0.57), (x - 0.016, 0.7), (x - 0.02, 0.7)),
            mix(pavement, (120, 110, 110), 0.25),
        )
    _layer(draw, box(-0.05, 0.695, 1.05, 0.715), mix(pavement, (90, 90, 96), 0.4))
    _layer(draw, box(-0.05, 0.71, 1.05, 1.05), road)
    for x in np.arange(rng.uniform(-0.1, 0.05), 1.05, 0.24):
        _layer(
            draw,
            cut((x, 0.85), (x + 0.12, 0.85), (x + 0.115, 0.872), (x - 0.01, 0.872)),
            mix((246, 240, 224), road, 0.15),
        )
