"""What people say about a scene: true sentences in varied English, and what each of their phrases stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vsa_lite.data.records import Phrase, Sentence, tokenise
from vsa_lite.data.scenes_layout import BEINGS, Drawing

# noun: (plural, kinds that it names, the size that it implies)
NOUNS = {
    "cat": ("cats", ("cat",), ""),
    "kitten": ("kittens", ("cat",), "small"),
    "kitty": ("kitties", ("cat",), ""),
    "dog": ("dogs", ("dog",), ""),
    "puppy": ("puppies", ("dog",), "small"),
    "rabbit": ("rabbits", ("rabbit",), ""),
    "bunny": ("bunnies", ("rabbit",), ""),
    "horse": ("horses", ("horse",), ""),
    "pony": ("ponies", ("horse",), "small"),
    "bird": ("birds", ("bird",), ""),
    "child": ("children", ("child",), ""),
    "kid": ("kids", ("child",), ""),
    "chair": ("chairs", ("chair",), ""),
    "seat": ("seats", ("chair",), ""),
    "table": ("tables", ("table",), ""),
    "desk": ("desks", ("table",), ""),
    "sofa": ("sofas", ("sofa",), ""),
    "couch": ("couches", ("sofa",), ""),
    "lamp": ("lamps", ("lamp",), ""),
    "light": ("lights", ("lamp",), ""),
    "car": ("cars", ("car",), ""),
    "automobile": ("automobiles", ("car",), ""),
    "bus": ("buses", ("bus",), ""),
    "bicycle": ("bicycles", ("bicycle",), ""),
    "bike": ("bikes", ("bicycle",), ""),
    "boat": ("boats", ("boat",), ""),
    "sailboat": ("sailboats", ("boat",), ""),
    "tree": ("trees", ("tree",), ""),
    "flower": ("flowers", ("flower",), ""),
    "blossom": ("blossoms", ("flower",), ""),
    "ball": ("balls", ("ball",), ""),
    "kite": ("kites", ("kite",), ""),
    "balloon": ("balloons", ("balloon",), ""),
    "teddy bear": ("teddy bears", ("teddy bear",), ""),
    "teddy": ("teddies", ("teddy bear",), ""),
    "umbrella": ("umbrellas", ("umbrella",), ""),
    "parasol": ("parasols", ("umbrella",), ""),
    "animal": ("animals", ("cat", "dog", "rabbit", "horse", "bird"), ""),
    "toy": ("toys", ("ball", "kite", "teddy bear", "balloon"), ""),
}
SIZES = {"small": ("small", "little"), "big": ("big", "large")}
NUMBERS = {2: "two", 3: "three", 4: "four"}
RELATIONS = {
    "on": ("on", "on", "on top of"),
    "under": ("under", "under", "underneath", "beneath"),
    "in": ("in", "inside"),
    "riding": ("riding", "riding", "on"),
    "holding": ("holding", "holding", "with"),
    "leaning": ("leaning on", "leaning against"),
    "next": ("next to", "beside", "near", "close to"),
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
    "front": ("in front of",),
    "behind": ("behind",),
    "above": ("above", "over"),
}
# relations that hold between two things only because they were put together so; the others follow from where they stand
TOLD = ("on", "under", "in", "riding", "holding", "leaning")
PLACES = {
    "park": ("in the park", "in a park", "at the park"),
    "beach": ("at the beach", "by the sea", "at the seaside"),
    "room": ("in the room", "in the living room", "indoors", "at home"),
    "street": ("in the street", "in the city", "in town"),
}
FLOORS = {
    "park": ("on the grass", "on the lawn"),
    "beach": ("on the sand",),
    "room": ("on the floor",),
    "street": ("on the street",),
}
WEATHER = {"sunny": ("on a sunny day",), "cloudy": ("on a cloudy day",), "evening": ("in the evening", "at sunset")}
DOING = {
    "sitting": ("sitting", "sitting", "resting"),
    "standing": ("standing",),
    "sleeping": ("sleeping", "sleeping", "napping"),
    "grazing": ("grazing",),
    "waving": ("waving",),
    "flying": ("flying",),
}

# {A} {B} {C}: things; {rel}: what A is to B; {do}: what A does; {in}: the setting; {floor}: the ground; {day}: weather
PAIRS = (
    "{A} is {rel} {B}",
    "{A} {rel} {B}",
    "{A} {rel} {B} {in}",
    "there is {A} {rel} {B}",
    "there is {A} {rel} {B} {in}",
    "{in} , {A} is {rel} {B}",
    "a picture of {A} {rel} {B}",
    "we can see {A} {rel} {B}",
    "{A} is {rel} {B} {in}",
    "{day} , {A} is {rel} {B}",
    "{A} , {rel} {B}",
    "look , there is {A} {rel} {B}",
    "here is {A} {rel} {B}",
)
DOING_PAIRS = ("{A} is {do} {rel} {B}", "{A} {do} {rel} {B}", "{A} {do} {rel} {B} {in}", "{in} , {A} is {do} {rel} {B}")
TURNED = {
    "on": ("{B} with {A} on it", "{B} with {A} on top", "there is {B} with {A} on it {in}"),
    "under": ("{B} with {A} under it", "{A} hides under {B}"),
    "in": ("{B} with {A} in it", "{B} with {A} inside"),
    "riding": ("{A} rides {B}", "{A} rides {B} {in}", "{B} with {A} riding on it"),
    "holding": ("{A} holds {B}", "{A} has {B}", "{A} has {B} {in}"),
    "leaning": ("{A} leans against {B}", "{A} leans on {B}", "{B} with {A} leaning on it"),
    "next": ("{A} and {B} are side by side", "{A} and {B} side by side {in}", "{B} with {A} next to it"),
    "left": ("{A} is on the left and {B} is on the right", "{A} on the left and {B} on the right"),
    "right": ("{B} is on the left and {A} is on the right",),
    "front": ("{A} is closer than {B}", "{B} with {A} in front of it"),
    "behind": ("{B} with {A} behind it", "{A} can be seen behind {B}"),
    "above": ("{B} with {A} above it", "high above {B} there is {A}"),
}
SINGLE = (
    "{A} {in}",
    "there is {A} {in}",
    "{in} there is {A}",
    "{A} {in} {day}",
    "{day} there is {A} {in}",
    "a picture with {A} in it",
)
GROUND = ("{A} {floor}", "there is {A} {floor}", "{A} is {floor}", "{A} {floor} {day}")
DOING_SINGLE = ("{A} is {do} {in}", "{A} {do} {in}", "{A} is {do} {in} {day}", "there is {A} {do} {in}")
FAR = ("{A} is far away", "far away there is {A}", "{A} in the distance", "{A} can be seen in the distance")
SKY = (
    "{A} in the sky",
    "{A} is up in the sky",
    "up in the sky there is {A}",
    "{A} floats in the air",
    "{A} flies {in}",
)
SEA = ("{A} is sailing on the sea", "{A} on the water", "{A} sails {day}")
LISTS = (
    "{A} and {B}",
    "{A} and {B} {in}",
    "we can see {A} and {B} {in}",
    "{A} and {B} are {in}",
    "{A} , {B} and {C}",
    "{A} , {B} and {C} {in}",
)
COUNTED = (
    "{A} {in}",
    "there are {A} {in}",
    "{A} are {in}",
    "{in} there are {A}",
    "{A} and {B} {in}",
    "{A} {in} {day}",
    "we can see {A}",
)
TEMPLATES = {
    "pair": PAIRS,
    "doing pair": DOING_PAIRS,
    "single": SINGLE,
    "ground": GROUND,
    "doing": DOING_SINGLE,
    "far": FAR,
    "sky": SKY,
    "sea": SEA,
    "list": LISTS,
    "counted": COUNTED,
    **{f"turned {r}": t for r, t in TURNED.items()},
}


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


class Speaker:
    """Says true things about one scene."""

    def __init__(self, drawing: Drawing, rng: np.random.Generator) -> None:
        self.drawing, self.rng = drawing, rng
        self.facts = sorted(true_facts(drawing))
        self.mute = set()  # things that this picture's sentences would rather not mention again

    def one(self, options: Sequence):
        return options[int(self.rng.integers(len(options)))]

    def name(self, i: int, count: int = 1) -> Name:
        """Words for thing i; with a count, for all things that the words fit, which must be that many."""
        thing, rng = self.drawing.things[i], self.rng
        nouns = [n for n in NOUNS if fits(self.drawing, i, n)]
        usual = [n for n in nouns if len(NOUNS[n][1]) == 1]
        general = [n for n in nouns if len(NOUNS[n][1]) > 1]
        noun = self.one(general) if general and rng.random() < 0.06 else usual[int(len(usual) * rng.random() ** 1.7)]
        colour = thing.colour if rng.random() < 0.4 else ""
        size = thing.size if rng.random() < 0.12 and thing.place == "ground" and not NOUNS[noun][2] else ""
        if thing.kind == "child":
            size = ""
        found = tuple(j for j in range(len(self.drawing.things)) if fits(self.drawing, j, noun, colour, size))
        if count > 1:
            size, found = "", tuple(j for j in range(len(self.drawing.things)) if fits(self.drawing, j, noun, colour))
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
            + ("counted",) * 2
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
            return self._counted(a)
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

    def _article(self, name: Name, meant: tuple[int, ...]) -> list[str]:
        if name.plural:
            return [NUMBERS[len(meant)]]
        if self.rng.random() < 0.22:
            return ["the"]
        return ["an" if name.words[0][0] in "aeiou" else "a"]


def _written(tokens: list[str], phrases: list[Phrase]) -> Sentence:
    raw = " ".join(tokens).replace(" ,", ",")
    shift = [sum(token == "," for token in tokens[:i]) for i in range(len(tokens) + 1)]  # commas are no tokens
    phrases = tuple(Phrase(p.start - shift[p.start], p.stop - shift[p.stop], p.boxes) for p in phrases)
    return Sentence(raw[0].upper() + raw[1:] + ".", tuple(tokenise(raw)), phrases)


def say(drawing: Drawing, rng: np.random.Generator, count: int = 5) -> tuple[Sentence, ...]:
    """So many different true sentences about a scene."""
    speaker, said = Speaker(drawing, rng), {}
    while len(said) < count:
        sentence = speaker.sentence()
        if sentence is not None:
            said.setdefault(sentence.tokens, sentence)
    return tuple(said.values())
