"""Scenes: what is drawn is what is said, and both come from a seed alone."""

import hashlib
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from vsa_lite.data.records import Phrase, tokenise
from vsa_lite.data.scenes import COLOURS, LABELS, SETTINGS, make_scenes, make_single_things
from vsa_lite.data.scenes_layout import LEAST_VISIBLE
from vsa_lite.data.scenes_sentences import true_facts
from vsa_lite.data.scenes_words import FLOORS, NOUNS, NUMBERS, PLACES, SIZES, TEMPLATES, TOLD, WEATHER

NAMED = {form: noun for noun, (plural, *_) in NOUNS.items() for form in (noun, plural)}


@pytest.fixture(scope="module")
def scenes():
    return make_scenes(400, 60, 60)


def pixels(record):
    return np.asarray(record.image())


def phrases(dataset):
    for record in dataset:
        for sentence in record.sentences:
            for phrase in sentence.phrases:
                yield record, sentence, phrase, sentence.tokens[phrase.start : phrase.stop]


def noun_of(words):
    return next(
        " ".join(words[i:j]) for i in range(len(words)) for j in (i + 2, i + 1) if " ".join(words[i:j]) in NAMED
    )


def test_the_same_seed_gives_the_same_pictures_and_sentences(scenes):
    again = make_scenes(6, 2, 2)
    for record in again:
        first = scenes.by_id(record.image_id)
        assert (record.name, record.split, record.labels) == (first.name, first.split, first.labels)
        assert record.sentences == first.sentences
        assert record.picture == first.picture
        np.testing.assert_array_equal(record.boxes, first.boxes)
        np.testing.assert_array_equal(pixels(record), pixels(first))
    assert make_scenes(3, 0, 0, seed=1)[0].picture != scenes[0].picture


def test_more_pictures_change_none():
    few, many = make_scenes(3, 1, 2), make_scenes(5, 4, 3)
    for record in few:
        assert many.by_id(record.image_id).picture == record.picture
        assert many.by_id(record.image_id).sentences == record.sentences
    assert [len(many.split(s)) for s in ("train", "val", "test")] == [5, 4, 3]


def test_the_first_picture_is_this_one_on_every_machine():
    """A change of the dice or of the layout changes everybody's results: it must be seen here first."""
    record = make_scenes(1, 0, 0)[0]
    assert record.picture.setting == "street"
    assert record.labels == ("tree", "bird", "cat")
    assert [thing.colour for thing in record.picture.things] == ["green", "blue", "brown"]
    assert record.sentences[0].raw == "The green tree with a blue bird on it."
    assert record.sentences[0].phrases == (Phrase(0, 3, (0,)), Phrase(4, 7, (1,)))
    np.testing.assert_allclose(record.boxes[0], [0.609, 0.382, 0.98, 0.866], atol=0.01)


def test_no_picture_is_there_twice(scenes):
    assert len({record.picture for record in scenes}) == len(scenes)
    some = [*scenes.split("train")[:25], *scenes.split("val")[:25], *scenes.split("test")[:25]]
    assert len({hashlib.sha256(pixels(record).tobytes()).digest() for record in some}) == len(some)


def test_pictures_are_rgb_of_the_size_that_cnns_like(scenes):
    assert scenes[0].image().mode == "RGB"
    assert scenes[0].image().size == (224, 224)


def test_boxes_are_tight_around_what_can_be_seen(scenes):
    """Each thing once more in a loud colour: the pixels that change are the pixels that can be seen of it."""
    for record in scenes[:30]:
        drawing = record.picture
        for i, thing in enumerate(drawing.things):
            loud = [replace(thing, colour=colour, shade=0) for colour in ("white", "black")]
            two = [
                replace(drawing, things=(*drawing.things[:i], other, *drawing.things[i + 1 :])).draw(shadows=False)
                for other in loud
            ]
            without = replace(drawing, things=drawing.things[:i] + drawing.things[i + 1 :]).draw(shadows=False)
            changed = sum(np.abs(np.asarray(a, float) - np.asarray(without, float)).max(axis=2) for a in two) > 8
            rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
            seen = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            np.testing.assert_allclose(record.boxes[i] * 224, seen, atol=1.5, err_msg=f"{record.name} {thing}")


def test_every_thing_has_a_box_and_can_be_seen(scenes):
    for record in scenes:
        assert record.boxes.dtype == np.float32
        assert record.boxes.shape == (len(record.picture.things), 4) == (len(record.labels), 4)
        assert 2 <= len(record.labels) <= 5
        assert record.labels == tuple(thing.kind for thing in record.picture.things)
        assert (record.boxes >= 0).all()
        assert (record.boxes <= 1).all()
        assert (record.boxes[:, 2:] - record.boxes[:, :2] >= 0.035).all()
        assert (record.picture.visible >= LEAST_VISIBLE).all()


def test_five_different_sentences_whose_tokens_are_their_words(scenes):
    for record in scenes:
        assert len({sentence.tokens for sentence in record.sentences}) == 5
        for sentence in record.sentences:
            assert sentence.tokens == tuple(tokenise(sentence.raw))
            assert sentence.raw[0].isupper()
            assert sentence.raw.endswith(".")
            assert sentence.phrases
            assert "{" not in sentence.raw
            for before, after in zip(sentence.tokens, sentence.tokens[1:], strict=False):
                assert (before == "an") == (after[0] in "aeiou") or before not in ("a", "an"), sentence.raw


def test_phrases_stand_for_things_that_their_words_fit(scenes):
    for record, sentence, phrase, words in phrases(scenes):
        assert phrase.boxes, sentence.raw
        noun = NAMED[noun_of(words)]
        colours = [word for word in words if word in COLOURS]
        sizes = [size for size, forms in SIZES.items() if set(forms) & set(words)] + [NOUNS[noun][2]]
        for i in phrase.boxes:
            thing = record.picture.things[i]
            assert record.labels[i] in NOUNS[noun][1], sentence.raw
            assert colours in ([], [thing.colour]), sentence.raw
            assert set(sizes) <= {"", thing.size}, sentence.raw
        if words[0] in NUMBERS.values():
            assert NUMBERS[len(phrase.boxes)] == words[0], sentence.raw
            assert noun_of(words) == NOUNS[noun][0]
        else:
            assert noun_of(words) == noun
            assert words[0] in ("a", "an", "the")


def test_a_phrase_stands_for_everything_that_nothing_tells_apart(scenes):
    """Where a sentence only names a thing and the setting, "the dog" is each dog of the picture."""
    settings = {word for forms in (*PLACES.values(), *WEATHER.values()) for form in forms for word in form.split()}
    floors, several = [form for forms in FLOORS.values() for form in forms], 0
    for record, sentence, phrase, words in phrases(scenes):
        if any(floor in sentence.raw for floor in floors):
            continue  # a bird "on the street" is not the one in the sky
        if {*sentence.tokens} <= {*words, *settings, "there", "is"} and words[0] not in NUMBERS.values():
            noun, colours = NAMED[noun_of(words)], [word for word in words if word in COLOURS]
            sizes = [size for size, forms in SIZES.items() if set(forms) & set(words)] + [NOUNS[noun][2]]
            fitting = [
                i
                for i, thing in enumerate(record.picture.things)
                if thing.kind in NOUNS[noun][1] and colours in ([], [thing.colour]) and set(sizes) <= {"", thing.size}
            ]
            assert list(phrase.boxes) == fitting, sentence.raw
            several += len(fitting) > 1
    assert several > 5


def test_every_thing_word_is_inside_a_phrase(scenes):
    words_of_things = {word for form in NAMED for word in form.split()} | set(COLOURS)
    for record in scenes:
        for sentence in record.sentences:
            inside = {i for phrase in sentence.phrases for i in range(phrase.start, phrase.stop)}
            outside = {word for i, word in enumerate(sentence.tokens) if i not in inside}
            assert not outside & words_of_things, sentence.raw


def test_what_is_said_about_the_setting_is_true(scenes):
    for record in scenes:
        for sentence in record.sentences:
            text = " ".join(sentence.tokens)
            for table, truth in ((PLACES, record.picture.setting), (WEATHER, record.picture.weather)):
                for name, forms in table.items():
                    assert name == truth or not any(f" {form} " in f" {text} " for form in forms), sentence.raw
            for setting, forms in FLOORS.items():
                if any(form in text for form in forms):
                    assert setting == record.picture.setting
                    assert all(record.picture.things[i].place == "ground" for i in sentence.phrases[0].boxes)


def middle(box):
    return (box[:2] + box[2:]) / 2


def test_relations_can_be_seen_in_the_boxes(scenes):
    seen = Counter()
    for record in scenes:
        drawing = record.picture
        for a, relation, b in true_facts(drawing):
            box_a, box_b, (first, second) = record.boxes[a], record.boxes[b], (drawing.things[a], drawing.things[b])
            x, y = middle(box_a)
            seen[relation] += 1
            if min(drawing.visible[[a, b]]) < 0.7:
                continue  # where another thing hides much of one, its box tells less
            if relation in ("on", "riding", "in"):
                assert box_b[0] < x < box_b[2]
                assert box_a[1] < box_b[3]
                assert box_b[1] - 0.02 < box_a[3] < box_b[3] + 0.02
                assert first.y < second.y
            elif relation == "under":
                assert box_b[0] < x < box_b[2]
                assert y > middle(box_b)[1]
            elif relation in ("leaning", "holding"):
                gap = np.maximum(box_a[:2], box_b[:2]) - np.minimum(box_a[2:], box_b[2:])
                assert (gap < 0.02).all(), (record.name, relation, first, second)
            elif relation == "left":
                assert x < middle(box_b)[0] - 0.15
            elif relation == "right":
                assert x > middle(box_b)[0] + 0.15
            elif relation == "front":
                assert first.y > second.y
                assert a > b
            elif relation == "behind":
                assert first.y < second.y
                assert a < b
            elif relation == "next":
                assert max(box_a[0], box_b[0]) - min(box_a[2], box_b[2]) < 0.12
                if min(drawing.visible[[a, b]]) == 1:
                    assert abs(box_a[3] - box_b[3]) < 0.1
            elif relation == "above":
                assert y < middle(box_b)[1]
    assert len(seen) == 12
    assert min(seen.values()) >= 5


def test_told_relations_name_the_right_pair(scenes):
    words = {"under": "under", "beneath": "under", "riding": "riding", "holding": "holding", "leaning": "leaning"}
    checked = Counter()
    for record in scenes:
        for sentence in record.sentences:
            if len(sentence.phrases) == 2 and "with" not in sentence.tokens:
                between = sentence.tokens[sentence.phrases[0].stop : sentence.phrases[1].start]
                for word in set(between) & set(words):
                    a, b = (phrase.boxes for phrase in sentence.phrases)
                    facts = {(x, y) for x, relation, y in record.picture.facts if relation == words[word]}
                    assert {x for x, y in facts if y in b} >= set(a), sentence.raw
                    assert {y for x, y in facts if x in a} >= set(b), sentence.raw
                    checked[word] += 1
    assert set(checked) == set(words)


def test_places_of_two_things_are_said_only_where_they_are_true_of_all_that_the_words_fit(scenes):
    sides, checked = {"left", "right", "behind", "front", "above"}, Counter()
    for record in scenes:
        facts = true_facts(record.picture)
        for sentence in record.sentences:
            if len(sentence.phrases) == 2 and "and" not in sentence.tokens and "with" not in sentence.tokens:
                between = sentence.tokens[sentence.phrases[0].stop : sentence.phrases[1].start]
                for word in set(between) & sides:
                    a, b = (phrase.boxes for phrase in sentence.phrases)
                    assert all((x, word, y) in facts for x in a for y in b), sentence.raw
                    checked[word] += 1
    assert checked.keys() >= {"left", "right", "behind", "front"}


def test_the_world_is_rich(scenes):
    """A fact is something that words can say and a picture can show: (kind, colour), (kind, pose), (kind, setting)
    and (kind, relation, kind) for the relations that things were put into."""
    things = [(record.picture, thing) for record in scenes for thing in record.picture.things]
    facts = {(thing.kind, thing.colour) for _, thing in things}
    facts |= {(thing.kind, "is", thing.pose) for _, thing in things if thing.pose}
    facts |= {(thing.kind, "in", drawing.setting) for drawing, thing in things}
    for record in scenes:
        kinds = record.labels
        facts |= {(kinds[a], r, kinds[b]) for a, r, b in record.picture.facts if r in TOLD}
    assert len(facts) >= 300
    assert {thing.kind for _, thing in things} == set(LABELS)
    assert len(LABELS) >= 14
    assert len({thing.colour for _, thing in things}) == len(COLOURS) >= 8
    assert {drawing.setting for drawing, _ in things} == set(SETTINGS)
    assert len(SETTINGS) == 4
    assert sum(map(len, TEMPLATES.values())) >= 25
    vocabulary = {word for record in scenes for sentence in record.sentences for word in sentence.tokens}
    assert 100 <= len(vocabulary) <= 200


def test_sentences_are_weak_labels(scenes):
    """Colours are mostly left out, and so are most things."""
    words = [words for *_, words in phrases(scenes)]
    coloured = sum(bool(set(w) & set(COLOURS)) for w in words) / len(words)
    assert 0.25 < coloured < 0.5
    mentioned = [
        len({i for phrase in sentence.phrases for i in phrase.boxes}) / len(record.labels)
        for record in scenes
        for sentence in record.sentences
    ]
    assert np.mean(mentioned) < 0.65
    assert sum(len(phrase.boxes) > 1 for *_, phrase, _ in phrases(scenes)) > 20


def test_single_things():
    singles = make_single_things(150)
    assert {label for _, label in singles} == set(LABELS)
    for drawing, label in singles:
        assert [thing.kind for thing in drawing.things] == [label]
        assert drawing.boxes.shape == (1, 4)
        assert (drawing.boxes[0, 2:] - drawing.boxes[0, :2]).max() > 0.25
    assert singles[7][0].draw().size == (224, 224)
    assert make_single_things(3, start=100) == singles[100:103]
    assert make_single_things(3, seed=1) != singles[:3]
    assert not set(make_scenes(20, 0, 0).records) & {drawing for drawing, _ in singles}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"train": -1}, ValueError, "train must be 0 or more, got -1"),
        ({"val": 2.5}, TypeError, r"val must be a whole number, got 2\.5"),
        ({"test": "10"}, TypeError, "test must be a whole number, got '10'"),
        ({"seed": None}, TypeError, "seed must be a whole number, got None"),
        ({"seed": -3}, ValueError, "seed must be 0 or more, got -3"),
        ({"train": True}, TypeError, "train must be a whole number, got True"),
        ({"train": 10**9}, ValueError, "train must be at most 10,000,000, got 1,000,000,000"),
    ],
)
def test_bad_counts_and_seeds_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        make_scenes(**arguments)


def test_bad_counts_of_single_things_are_refused():
    with pytest.raises(ValueError, match="count must be 0 or more, got -1"):
        make_single_things(-1)
    with pytest.raises(TypeError, match=r"start must be a whole number, got 0\.5"):
        make_single_things(2, start=0.5)
