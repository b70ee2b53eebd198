"""Who stands where in a scene (see `scenes` for the data set itself)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vsa_lite.data.scenes_drawing import Drawing, Thing
from vsa_lite.data.scenes_paper import CANVAS
from vsa_lite.data.scenes_settings import GROUND, WEATHERS
from vsa_lite.data.scenes_things import KINDS, SETTINGS, pattern

LEAST_VISIBLE = 0.5  # of a thing's own area; a picture that hides more is laid out again

# where on a thing others can be, in the frame of its pattern: x from, x to, y, and the most that they may measure there
ON = {
    "chair": (("cat", "dog", "teddy bear", "bird", "rabbit", "flower", "ball"), (-0.08, 0.08, 0.46, 0.75)),
    "table": (("cat", "rabbit", "bird", "flower", "teddy bear", "ball", "lamp"), (-0.55, 0.55, 0.94, 1.1)),
    "sofa": (("cat", "dog", "rabbit", "teddy bear", "child", "ball"), (-0.5, 0.5, 0.47, 0.95)),
    "car": (("cat", "bird", "teddy bear", "rabbit"), (-0.2, 0.15, 0.98, 0.8)),
    "bus": (("cat", "bird", "rabbit", "dog", "teddy bear"), (-0.7, 0.7, 0.98, 0.5)),
    "tree": (("bird",), (-0.06, 0.06, 0.95, 0.2)),
    "umbrella": (("bird",), (-0.02, 0.02, 0.97, 0.3)),
}
RIDING = {
    "horse": (("child", "cat", "rabbit", "teddy bear", "dog"), (-0.1, 0.04, 0.57, 0.6)),
    "bicycle": (("child", "cat", "rabbit", "teddy bear", "dog"), (-0.24, -0.2, 0.88, 0.95)),
}
IN = {"boat": (("dog", "cat", "rabbit", "child", "teddy bear"), (-0.46, -0.34, 0.15, 0.6))}
UNDER = {
    "table": (("cat", "dog", "rabbit", "ball", "teddy bear", "flower"), (-0.35, 0.35, 0.04, 0.7)),
    "chair": (("ball", "bird", "cat"), (-0.04, 0.04, 0.06, 0.32)),
    "tree": (("cat", "dog", "rabbit", "child", "teddy bear", "chair", "ball", "horse"), (-0.2, 0.2, -0.04, 0.42)),
    "umbrella": (("cat", "dog", "rabbit", "child", "teddy bear", "chair", "ball"), (-0.24, 0.24, -0.04, 0.58)),
}
LEANING = {
    "tree": ("bicycle", "umbrella", "kite", "teddy bear"),
    "car": ("bicycle", "umbrella", "teddy bear"),
    "bus": ("bicycle", "umbrella"),
    "sofa": ("umbrella", "kite", "teddy bear"),
    "chair": ("umbrella", "kite", "teddy bear"),
    "boat": ("umbrella", "kite", "bicycle"),
    "ball": ("teddy bear",),
    "dog": ("cat", "teddy bear"),
    "teddy bear": ("cat", "rabbit"),
}
# hands, in the frame of the holder's pattern
HANDS = {
    ("child", "waving"): (0.29, 0.74),
    ("child", "standing"): (0.2, 0.44),
    ("rabbit", "standing"): (0.19, 0.3),
    ("teddy bear", "sitting"): (0.38, 0.34),
    ("dog", "sitting"): (0.15, 0.12),
    ("cat", "sitting"): (0.15, 0.1),
}
HELD = {
    "child": ("balloon", "kite", "umbrella"),
    "rabbit": ("balloon", "umbrella"),
    "teddy bear": ("balloon", "umbrella"),
    "dog": ("balloon",),
    "cat": ("balloon",),
}
BACKGROUND = ("sofa", "car", "bus", "tree", "boat", "horse", "table", "bicycle", "chair")
FOREGROUND = ("cat", "dog", "rabbit", "child", "bird", "ball", "teddy bear", "flower", "bicycle", "chair", "lamp")
TABLES = {"on": ON, "riding": RIDING, "in": IN, "under": UNDER}
USUAL = {"umbrella": 0.35, "bird": 0.35, "teddy bear": 0.45, "chair": 0.7}  # weights, where others have 0.6 to 2.1
Group = tuple[list[Thing], list[tuple[int, str, int]]]


def lay_out(rng: np.random.Generator, attempts: int = 60) -> Drawing:
    """A new scene of two to five things, every one of them well visible."""
    for _ in range(attempts):
        drawing = _attempt(rng)
        boxes = drawing.boxes
        sides = boxes[:, 2:] - boxes[:, :2]
        if (drawing.visible >= LEAST_VISIBLE).all() and (sides.min(axis=1) >= 0.04).all() and _inside(drawing):
            return drawing
    raise RuntimeError(f"no layout in {attempts} attempts")  # each attempt succeeds about every other time


def _inside(drawing: Drawing) -> bool:
    return all((thing.x > 0.02) & (thing.x < 0.98) & (thing.y < 1) for thing in drawing.things) and bool(
        (drawing.boxes[:, 1] > 0.005).all()
    )


def _attempt(rng: np.random.Generator) -> Drawing:
    setting, weather = _one(rng, SETTINGS), _one(rng, WEATHERS)
    target = int(rng.choice([2, 3, 4, 5], p=[0.15, 0.3, 0.33, 0.22]))
    groups: list[Group] = []
    while (left := target - sum(len(things) for things, _ in groups)) > 0:
        groups.append(_group(rng, setting, left))
    if rng.random() < 0.35 and len(groups) > 1:  # two of a kind, so that colours and places have to tell them apart
        (first, *rest), (things, facts) = groups[0][0], groups[-1]
        if len(things) == 1 and things[0].place == first.place and not rest:
            groups[-1] = ([_make(rng, first.kind, setting, first.place)], facts)
    slots = (np.arange(len(groups)) + 0.5 + rng.uniform(-0.28, 0.28, len(groups))) / len(groups)
    rng.shuffle(slots)
    placed, facts = [], []  # (how near, thing); facts about positions in `placed`
    for (group, own), x in zip(groups, slots.tolist(), strict=True):
        facts += [(a + len(placed), relation, b + len(placed)) for a, relation, b in own]
        placed += _by_depth(_moved(group, x))
    order = sorted(range(len(placed)), key=lambda i: placed[i][0])
    things, rank = tuple(placed[i][1] for i in order), {i: new for new, i in enumerate(order)}
    facts = tuple((rank[a], relation, rank[b]) for a, relation, b in facts)
    return Drawing(setting, weather, int(rng.integers(2**31)), things, facts)


def _one(rng: np.random.Generator, options: Sequence):
    return options[int(rng.integers(len(options)))]


def _depth(setting: str, y: float) -> float:
    """How much smaller things look that stand at y."""
    top, _, front = GROUND[setting]
    return 0.5 + 0.64 * (y - top) / (front - top)


def _make(
    rng: np.random.Generator,
    kind: str,
    setting: str,
    place: str = "ground",
    most: float | None = None,
    y: float | None = None,
    beside: Thing | None = None,
) -> Thing:
    """A thing at x = 0.5. `most` bounds the height that it takes up; `beside` is as far from the eye as this one."""
    facts, (top, far, front) = KINDS[kind], GROUND[setting]
    pose = "flying" if kind == "bird" and place == "sky" else _one(rng, facts.poses)
    size = "small" if most is not None else _one(rng, ("small", "big"))
    if y is None:
        near = (0.5 * top + 0.5 * front, front - 0.02)
        low, high = {"far": (far - 0.035, far), "sky": (0.3, 0.46), "sea": (0.5, 0.58)}.get(place, near)
        y = float(rng.uniform(low, high))
    near = beside or Thing(kind, "", "", "", 0.5, y, 0, place=place)
    scale = {"sky": 0.85, "sea": 0.55}.get(near.place) or _depth(setting, near.y)
    height = facts.height * scale * (0.8 if size == "small" else 1.15) * float(rng.uniform(0.95, 1.05))
    if most is not None:
        height = min(height, most / pattern(kind, pose).extent[3])
    shade, variant = float(rng.uniform(-1, 1)), int(rng.integers(16))
    return Thing(
        kind, _one(rng, facts.colours), pose, size, 0.5, y, height, bool(rng.random() < 0.5), 0.0, place, shade, variant
    )


def _kind(rng: np.random.Generator, setting: str, options: Sequence[str] = tuple(KINDS)) -> str | None:
    """A kind that is at home here; now and then one that is not."""
    heavy = ("boat", "bus", "car", "tree", "kite")
    at_home = [k for k in options if setting in KINDS[k].settings]
    anywhere = [k for k in options if k not in heavy]
    if anywhere and rng.random() < 0.06:
        return _one(rng, anywhere)
    if not at_home:
        return None
    # what is at home in few settings comes up more often there; what has a part in every relation, less
    weights = np.array([USUAL.get(k, 2.6 - 0.5 * len(KINDS[k].settings)) for k in at_home])
    return at_home[int((weights.cumsum() < rng.random() * weights.sum()).sum())]


def _group(rng: np.random.Generator, setting: str, left: int) -> Group:
    """A thing on its own, or a pair that has something to do with each other."""
    roll = rng.random()
    if left >= 2 and roll < 0.64:
        relations = ("on", "on", "under", "under", "riding", "leaning", "holding", "front", "front")
        pair = _pair(rng, setting, _one(rng, (*relations, "in", "in") if setting == "beach" else relations))
        if pair:
            return pair
    if roll > 0.9:
        kind = _kind(rng, setting, ("balloon", "bird", "kite") if setting != "room" else ("balloon",))
        if kind:
            return [_make(rng, kind, setting, "sky")], []
    if roll > 0.8 and setting != "room":
        kind = _kind(rng, setting, ("boat",) if setting == "beach" else ("tree", "car", "bus", "horse", "child", "dog"))
        if kind:
            return [_make(rng, kind, setting, "sea" if kind == "boat" else "far")], []
    kind = _kind(rng, setting, [k for k in KINDS if k not in ("kite", "balloon")])
    return [_make(rng, kind, setting)], []


def _pair(rng: np.random.Generator, setting: str, relation: str) -> Group | None:
    if relation == "holding":
        holder = _kind(rng, setting, tuple(HELD))
        return _holding(rng, setting, holder) if holder else None
    if relation == "leaning":
        b_kind = _kind(rng, setting, tuple(LEANING))
        return _leaning(rng, setting, b_kind) if b_kind else None
    if relation == "front":
        return _in_front(rng, setting)
    b_kind = _kind(rng, setting, tuple(TABLES[relation]))
    if b_kind is None:
        return None
    kinds, (x0, x1, up, most) = TABLES[relation][b_kind]
    a_kind = _kind(rng, setting, kinds) or _one(rng, kinds)
    b = _make(rng, b_kind, setting, "sea" if b_kind == "boat" and rng.random() < 0.5 else "ground")
    y = b.y - up * b.height
    a = _make(rng, a_kind, setting, "ground" if relation == "under" else "thing", most=most * b.height, y=y, beside=b)
    if relation == "riding" or (a_kind == "child" and relation == "on"):
        a = replace(a, pose="sitting", flip=b.flip)
    elif relation == "in":
        a = replace(a, pose={"child": "waving", "teddy bear": "sitting"}.get(a_kind, _upright(a.pose)))
    x = float(rng.uniform(x0, x1)) * b.height
    a = replace(a, x=b.x + (-x if b.flip else x))
    first = relation == "in" or (relation == "under" and b_kind in ("table", "chair"))  # glued behind the other
    return ([a, b], [(0, relation, 1)]) if first else ([b, a], [(1, relation, 0)])


def _in_front(rng: np.random.Generator, setting: str) -> Group | None:
    """A thing that hides a part of a larger one. That it is in front can be seen; no fact is needed."""
    b_kind = _kind(rng, setting, BACKGROUND)
    if b_kind is None:
        return None
    top, _, front = GROUND[setting]
    b = _make(rng, b_kind, setting, y=float(rng.uniform(0.7 * top + 0.3 * front, front - 0.12)))
    a = _make(rng, _kind(rng, setting, FOREGROUND), setting, y=b.y + float(rng.uniform(0.06, 0.1)))
    reach = 0.75 * pattern(b.kind, b.pose).extent[2] * b.height
    return [b, replace(a, x=b.x + float(rng.uniform(-reach, reach)))], []


def _upright(pose: str) -> str:
    return "sitting" if pose == "sleeping" else pose


def _holding(rng: np.random.Generator, setting: str, kind: str) -> Group:
    a = _make(rng, kind, setting)
    a = replace(a, pose=_one(rng, [pose for k, pose in HANDS if k == kind]))
    x, up = HANDS[kind, a.pose]
    side = -1 if a.flip else 1
    b = _make(rng, _one(rng, HELD[kind]), setting, "thing", y=a.y - up * a.height, beside=a)
    height = {"balloon": 1.3, "kite": 1.05, "umbrella": 0.95}[b.kind] * a.height
    tilt = {"balloon": 13.0, "kite": 24.0, "umbrella": 6.0}[b.kind]
    b = replace(b, x=a.x + side * x * a.height, height=height, tilt=-side * tilt)
    return [b, a], [(1, "holding", 0)]


def _leaning(rng: np.random.Generator, setting: str, b_kind: str) -> Group:
    b = _make(rng, b_kind, setting)
    a = _make(rng, _one(rng, LEANING[b_kind]), setting, y=b.y + 0.012)
    if b_kind in ("dog", "teddy bear", "ball"):
        b, a = replace(b, pose="sitting" if b_kind != "ball" else ""), replace(a, pose="sitting")
        a = replace(a, height=min(a.height, 1.1 * b.height))
    side = _one(rng, (-1, 1))
    half_b = b.height * (0.07 if b_kind == "tree" else 0.92 * pattern(b.kind, b.pose).extent[2])
    half_a = a.height * {"umbrella": 0.3, "kite": 0.12, "bicycle": 0.62}.get(a.kind, 0.3)
    tilt = {"umbrella": 24.0, "kite": 14.0, "bicycle": 5.0}.get(a.kind, 13.0)
    a = replace(a, x=b.x + side * (half_a + half_b), tilt=side * tilt)
    return [b, a], [(1, "leaning", 0)]


def _by_depth(group: Sequence[Thing]) -> list[tuple[float, Thing]]:
    """How near each thing of a group is: where it stands or, on or in the hands of another, where that one does."""
    anchor = next(i for i, thing in enumerate(group) if thing.place != "thing")
    return [
        (thing.y if thing.place != "thing" else group[anchor].y + 0.001 * (i - anchor), thing)
        for i, thing in enumerate(group)
    ]


def _moved(things: Sequence[Thing], x: float) -> list[Thing]:
    """A group moved to x, as far as it fits into the picture."""
    xs = [v / CANVAS for thing in things for outline in thing.outlines() for v in outline[::2]]
    low, high = 0.5 - min(xs) + 0.005, 0.995 - (max(xs) - 0.5)
    x = (low + high) / 2 if low > high else min(max(x, low), high)
    return [replace(thing, x=thing.x + x - 0.5) for thing in things]
