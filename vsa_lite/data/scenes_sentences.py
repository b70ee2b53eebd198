"""What people say about a scene: true sentences in varied English, and what each of their phrases stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vsa_lite.data.records import Phrase, Sentence, tokenise
from vsa_lite.data.scenes_drawing import Drawing
from vsa_lite.data.scenes_things import KINDS
from vsa_lite.data.scenes_words import (
    BEINGS,
    COUNTED,
    DOING,
    FLOORS,
    NOUNS,
    NUMBERS,
    PLACES,
    RELATIONS,
    SIZES,
    TEMPLATES,
    TOLD,
    TURNED,
    WEATHER,
)


@dataclass(frozen=True)
class Name:
    """Some words for a thing or for several, and which things of the picture they fit."""

    words: tuple[str, ...]  # without an article
    fits: tuple[int, ...]
    plural: bool = False


def true_facts(drawing: Drawing) -> set[tuple[int, str, int]]:
    """Everything that may be said of two things: (a, relation, b), "a is ... b".

    Things were put "on", "under", "in", ... each other when the scene was laid out. The other relations are read off
    what can be seen: "left" and "right" between centres; "next" for a narrow gap at about the same depth; "front" and
    "behind" for things on the ground, one nearer and covering some of the same columns; "above" for the sky.
    """
    facts, boxes = set(drawing.facts), drawing.boxes
    together = {frozenset((a, b)) for a, _, b in facts}
    low = [thing.place in ("ground", "far") for thing in drawing.things]
    for a, first in enumerate(drawing.things):
        for b, second in enumerate(drawing.things):
            if a == b or frozenset((a, b)) in together:
                continue
            ax0, _, ax1, ay1 = boxes[a].tolist()
            bx0, by0, bx1, _ = boxes[b].tolist()
            gap, depth = max(ax0, bx0) - min(ax1, bx1), first.y - second.y
            if (ax0 + ax1 - bx0 - bx1) / 2 < -0.2:
                facts |= {(a, "left", b), (b, "right", a)}
            if low[a] and low[b]:
                if gap < 0.12 and -gap < 0.3 * min(ax1 - ax0, bx1 - bx0) and abs(depth) < 0.07:
                    facts |= {(a, "next", b), (b, "next", a)}
                if -gap > 0.35 * min(ax1 - ax0, bx1 - bx0) and depth > 0.05:
                    facts |= {(a, "front", b), (b, "behind", a)}
            elif first.place == "sky" and low[b] and bx0 < (ax0 + ax1) / 2 < bx1 and ay1 < by0 + 0.02:
                facts.add((a, "above", b))
    return facts


def fits(drawing: Drawing, i: int, noun: str, colour: str = "", size: str = "") -> bool:
    """Whether some words are true of thing i."""
    thing, (_, kinds, implied) = drawing.things[i], NOUNS[noun]
    return thing.kind in kinds and colour in ("", thing.colour) and {size, implied} <= {"", thing.size}


NOUNS_OF = {
    (kind, size): tuple(
        [
            n
            for n, (_, kinds, implied) in NOUNS.items()
            if kind in kinds and implied in ("", size) and chosen(len(kinds))
        ]
        for chosen in (lambda n: n == 1, lambda n: n > 1)  # nouns for this kind alone, and for several kinds
    )
    for kind in KINDS
    for size in SIZES
}


class Speaker:
    """Says true things about one scene."""

    def __init__(self, drawing: Drawing, rng: np.random.Generator) -> None:
        self.drawing, self.rng = drawing, rng
        self.facts = sorted(true_facts(drawing))

    def one(self, options: Sequence):
        return options[int(self.rng.integers(len(options)))]

    def name(self, i: int, count: int = 1) -> Name:
        """Words for thing i; with a count, for all things that the words fit, which must be that many."""
        thing, rng = self.drawing.things[i], self.rng
        usual, general = NOUNS_OF[thing.kind, thing.size]
        noun = self.one(general) if general and rng.random() < 0.06 else usual[int(len(usual) * rng.random() ** 1.7)]
        colour = thing.colour if rng.random() < 0.4 else ""
        plain = count > 1 or thing.kind == "child" or thing.place != "ground" or NOUNS[noun][2]
        size = thing.size if rng.random() < 0.12 and not plain else ""
        found = tuple(j for j in range(len(self.drawing.things)) if fits(self.drawing, j, noun, colour, size))
        words = [self.one(SIZES[size])] if size else []
        noun_words = (NOUNS[noun][0] if count > 1 else noun).split()
        if colour and thing.kind == "child":
            clothes = f"in {colour}" if count > 1 or rng.random() < 0.5 else f"in a {colour} coat"
            words += [*noun_words, *clothes.replace("a orange", "an orange").split()]
        else:
            words += [*([colour] if colour else []), *noun_words]
        return Name(tuple(words), found, count > 1)

    def sentence(self) -> Sentence | None:
        """One sentence, or None where the dice chose something that cannot be said of this scene."""
        kind = self.one(
            ("pair",) * 6
            + ("doing pair",) * 2
            + ("turned",) * 3
            + ("near",) * 3
            + ("single", "ground", "doing", "place", "place")
            + ("list",) * 2
            + ("counted",) * 5
        )
        things = self.drawing.things
        if kind in ("pair", "doing pair", "turned", "near"):
            facts = [f for f in self.facts if (f[1] in TOLD) != (kind == "near")]
            if not facts:
                return None
            a, relation, b = self.one(facts)
            style = self.one(("pair", "turned")) if kind == "near" else kind
            if style == "doing pair" and relation in ("riding", "holding", "leaning"):
                return None
            templates = TURNED[relation] if style == "turned" else TEMPLATES[style]
            return self._fill(self.one(templates), [a, b], relation)
        a = int(self.rng.integers(len(things)))
        if kind == "place":
            kind = things[a].place if things[a].place in ("far", "sky", "sea") else "single"
        place = kind if kind in ("ground", "far", "sky", "sea") else ""
        if place and things[a].place != place:
            return None
        if kind == "counted":
            kinds = [thing.kind for thing in things]
            twins = [i for i, k in enumerate(kinds) if kinds.count(k) > 1]
            return self._counted(self.one(twins)) if twins else None
        order = [a, *[i for i in self.rng.permutation(len(things)).tolist() if i != a]]
        return self._fill(self.one(TEMPLATES[kind]), order, place=place)

    def _counted(self, a: int) -> Sentence | None:
        same = [i for i, thing in enumerate(self.drawing.things) if thing.kind == self.drawing.things[a].kind]
        name = self.name(a, count=max(2, len(same)))
        if len(name.fits) not in NUMBERS:
            return None
        others = [i for i in range(len(self.drawing.things)) if i not in name.fits]
        template = self.one(COUNTED)
        if "{B}" in template and not others:
            return None
        return self._fill(template, [a, *others[:1]], names={0: name})

    def _fill(
        self, template: str, order: Sequence[int], relation: str = "", names: dict | None = None, place: str = ""
    ) -> Sentence | None:
        things, slots = self.drawing.things, "ABC"
        used = [slot for slot in slots if f"{{{slot}}}" in template]
        if len(used) > len(order):
            return None
        names = {slots[i]: name for i, name in (names or {}).items()}
        names = {slot: names.get(slot) or self.name(order[slots.index(slot)]) for slot in used}
        everything = [i for name in names.values() for i in name.fits]
        if len(set(everything)) < len(everything):
            return None  # "a dog is next to a black dog", who may be the same
        meant = {slot: name.fits for slot, name in names.items()}
        if place or "{do}" in template:  # what is said of A is not true of all that its words fit
            meant["A"] = tuple(
                i
                for i in meant["A"]
                if (not place or things[i].place == place)
                and ("{do}" not in template or things[i].pose == things[order[0]].pose)
            )
        if relation in TOLD:  # the relation picks out which of several
            a, b = meant["A"], meant["B"]
            pairs = [(x, y) for x, r, y in self.facts if r == relation and x in a and y in b]
            meant = {"A": tuple(sorted({x for x, _ in pairs})), "B": tuple(sorted({y for _, y in pairs}))}
            if any(self._touch(x, y) for x in a for y in b if (x, y) not in pairs):
                return None  # another one that only seems to be on it, under it, ...
        elif relation and any((x, relation, y) not in self.facts for x in meant["A"] for y in meant["B"]):
            return None  # left, right, near, ... must be true of every thing that the words fit
        tokens, phrases = [], []
        doing = DOING.get(things[order[0]].pose)
        if "hides" in template and things[order[0]].kind not in BEINGS:
            return None
        if ("flies" in template and things[order[0]].kind == "balloon") or (
            "floats" in template and things[order[0]].kind == "bird"
        ):
            return None
        for part in template.replace("{", " {").split():
            if part[1:-1] in names:
                name = names[part[1:-1]]
                start = len(tokens)
                tokens += self._article(name, meant[part[1:-1]])
                tokens += name.words
                phrases.append(Phrase(start, len(tokens), meant[part[1:-1]]))
            elif part == "{rel}":
                tokens += self.one(RELATIONS[relation]).split()
            elif part == "{do}":
                if not doing:
                    return None
                tokens.append(self.one(doing))
            elif part == "{in}":
                tokens += self.one(PLACES[self.drawing.setting]).split()
            elif part == "{floor}":
                tokens += self.one(FLOORS[self.drawing.setting]).split()
            elif part == "{day}":
                if self.drawing.setting == "room":
                    return None
                tokens += self.one(WEATHER[self.drawing.weather]).split()
            else:
                tokens.append(part)
        return _written(tokens, phrases)

    def _touch(self, x: int, y: int) -> bool:
        """Whether the boxes of two things overlap."""
        a, b = self.drawing.boxes[x], self.drawing.boxes[y]
        return bool((a[:2] < b[2:]).all() and (b[:2] < a[2:]).all())

    def _article(self, name: Name, meant: tuple[int, ...]) -> list[str]:
        if name.plural:
            return [NUMBERS[len(meant)]]
        if self.rng.random() < 0.22:
            return ["the"]
        return ["an" if name.words[0][0] in "aeiou" else "a"]


def _written(tokens: list[str], phrases: list[Phrase]) -> Sentence:
    raw = " ".join(tokens).replace(" ,", ",")
    for comma in [i for i, token in enumerate(tokens) if token == ","][::-1]:  # commas are no tokens
        phrases = [Phrase(p.start - (p.start > comma), p.stop - (p.stop > comma), p.boxes) for p in phrases]
    return Sentence(raw[0].upper() + raw[1:] + ".", tuple(tokenise(raw)), tuple(phrases))


def say(drawing: Drawing, rng: np.random.Generator, count: int = 5) -> tuple[Sentence, ...]:
    """So many different true sentences about a scene."""
    speaker, said = Speaker(drawing, rng), {}
    while len(said) < count:
        sentence = speaker.sentence()
        if sentence is not None:
            said.setdefault(sentence.tokens, sentence)
    return tuple(said.values())
