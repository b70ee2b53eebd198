"""Grounding by hand, against naive loops, and from a model and pairs to the numbers, with unknown words on the way."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import four_regions, seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from vsa_lite.alignment.chain import best_path, relative_beta
from vsa_lite.alignment.model import AlignmentConfig, AlignmentModel
from vsa_lite.alignment.pairs import Pairs
from vsa_lite.data.records import Dataset, Phrase, Sentence
from vsa_lite.evaluation import grounding
from vsa_lite.evaluation.grounding import evaluate_grounding, grounding_metrics, linked_phrases, phrase_regions
from vsa_lite.regions.features import extract_features
from vsa_lite.words.vocabulary import Vocabulary


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    both = max(0, width) * max(0, height)
    either = sum((c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)) - both
    return both / either if either else 0.0


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def naive_metrics(chosen, regions, region_mask, boxes, box_mask):
    """One phrase after the other, one box after the other."""
    names = ("iou50", "pointing", "pointing_centre", "mean_iou", "upper_bound")
    names += ("area", "area_true", "baseline_whole", "baseline_largest", "baseline_random")
    total = dict.fromkeys(names, 0.0)
    for k in range(len(chosen)):
        true = [box for box, real in zip(boxes[k].tolist(), box_mask[k].tolist(), strict=True) if real]
        own = [box for box, real in zip(regions[k].tolist(), region_mask[k].tolist(), strict=True) if real]

        def best(region, true=true):
            return max(iou(region, box) for box in true)

        def inside(x, y, true=true):
            return any(x0 <= x <= x1 and y0 <= y <= y1 for x0, y0, x1, y1 in true)

        if chosen[k] >= 0:
            region = regions[k, chosen[k]].tolist()
            total["iou50"] += best(region) >= 0.5
            total["mean_iou"] += best(region)
            total["area"] += area(region)
            total["pointing"] += inside((region[0] + region[2]) / 2, (region[1] + region[3]) / 2)
        total["pointing_centre"] += inside(0.5, 0.5)
        total["area_true"] += max(map(area, true))
        total["upper_bound"] += any(best(region) >= 0.5 for region in own)
        total["baseline_whole"] += best([0, 0, 1, 1]) >= 0.5
        others = [region for region in own if region != [0, 0, 1, 1]] or own
        total["baseline_largest"] += best(max(others, key=area)) >= 0.5
        total["baseline_random"] += sum(best(region) >= 0.5 for region in own) / len(own)
    metrics = {f"grounding_{name}": 100 * value / len(chosen) for name, value in total.items()}
    unknown = float((chosen < 0).sum())
    return metrics | {"grounding_phrases": float(len(chosen)), "grounding_unknown_phrases": unknown}


def ragged(rows, columns, generator):
    """A mask with at least one True in each row, anywhere."""
    mask = torch.rand(rows, columns, generator=generator) < 0.6
    mask[torch.arange(rows), torch.randint(columns, (rows,), generator=generator)] = True
    return mask


def random_boxes(n, m, generator, steps=8):
    """Corners on a coarse grid, so that boxes are equal, touch, are flat, and have IoU of exactly 0.5."""
    corners = torch.randint(0, steps + 1, (n, m, 2, 2), generator=generator).sort(2).values / steps
    return torch.cat([corners[:, :, 0], corners[:, :, 1]], 2).double()


def example(seed, phrases=12, regions=5, things=3):
    generator = torch.Generator().manual_seed(seed)
    boxes, true = random_boxes(phrases, regions, generator), random_boxes(phrases, things, generator)
    boxes[:, 0] = torch.tensor([0.0, 0, 1, 1])
    region_mask, box_mask = ragged(phrases, regions, generator), ragged(phrases, things, generator)
    chosen = torch.multinomial(region_mask.double(), 1, generator=generator)[:, 0]
    chosen[torch.rand(phrases, generator=generator) < 0.2] = -1
    return chosen, boxes, region_mask, true, box_mask


# the numbers


def test_one_phrase_by_hand():
    regions = torch.tensor([[[0, 0, 1, 1], [0, 0, 0.5, 0.5], [0, 0, 0.5, 1], [0.75, 0.75, 1, 1]]])
    boxes = torch.tensor([[[0, 0, 0.5, 0.75]]])  # IoU with the regions: 3/8, 2/3, 3/4, 0
    real, thing = torch.ones(1, 4, dtype=torch.bool), torch.ones(1, 1, dtype=torch.bool)
    assert grounding_metrics(torch.tensor([1]), regions, real, boxes, thing) == {
        "grounding_iou50": 100,
        "grounding_pointing": 100,
        "grounding_pointing_centre": 100,  # on the corner, which belongs to the box
        "grounding_mean_iou": pytest.approx(100 * 2 / 3),
        "grounding_area": 25,
        "grounding_area_true": 37.5,
        "grounding_upper_bound": 100,
        "grounding_baseline_whole": 0,
        "grounding_baseline_largest": 100,
        "grounding_baseline_random": 50,
        "grounding_phrases": 1,
        "grounding_unknown_phrases": 0,
    }
    missed = grounding_metrics(torch.tensor([3]), regions, real, boxes, thing)
    assert missed["grounding_iou50"] == missed["grounding_pointing"] == missed["grounding_mean_iou"] == 0
    assert missed["grounding_upper_bound"] == 100
    whole = grounding_metrics(torch.tensor([0]), regions, real, boxes, thing)
    assert (whole["grounding_iou50"], whole["grounding_pointing"]) == (0, 100)


def test_half_is_enough_and_any_true_box_will_do():
    regions = torch.tensor([[[0, 0, 1, 1], [0, 0, 0.5, 0.5]]])
    boxes = torch.tensor([[[0.5, 0.5, 1, 1], [0, 0, 0.5, 0.25], [0, 0, 0, 0]]])  # the second has IoU 1/2
    real, things = torch.ones(1, 2, dtype=torch.bool), torch.tensor([[True, True, False]])
    metrics = grounding_metrics(torch.tensor([1]), regions, real, boxes, things)
    assert metrics["grounding_iou50"] == 100
    without = grounding_metrics(torch.tensor([1]), regions, real, boxes, things & torch.tensor([True, False, True]))
    assert without["grounding_iou50"] == 0


def test_a_phrase_without_a_region_is_wrong_and_stays_in_the_denominator():
    regions = torch.tensor([[0.0, 0, 1, 1]]).expand(4, 1, 4)
    boxes, mask = regions.clone(), torch.ones(4, 1, dtype=torch.bool)
    metrics = grounding_metrics(torch.tensor([0, -1, 0, 0]), regions, mask, boxes, mask)
    for name in ("iou50", "pointing", "mean_iou"):
        assert metrics[f"grounding_{name}"] == 75, name
    for name in ("upper_bound", "baseline_whole", "baseline_largest", "baseline_random", "pointing_centre"):
        assert metrics[f"grounding_{name}"] == 100, name
    assert metrics["grounding_phrases"] == 4
    assert metrics["grounding_unknown_phrases"] == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 6), st.integers(1, 4))
def test_the_numbers_equal_naive_loops(seed, phrases, regions, things):
    data = example(seed, phrases, regions, things)
    metrics = grounding_metrics(*data)
    assert metrics == pytest.approx(naive_metrics(*data))
    assert metrics["grounding_upper_bound"] >= metrics["grounding_iou50"]
    for baseline in ("largest", "random"):
        assert metrics["grounding_upper_bound"] >= metrics[f"grounding_baseline_{baseline}"]


def test_blocks_and_padding_change_nothing(monkeypatch):
    chosen, regions, region_mask, boxes, box_mask = example(3, phrases=23)
    expected = grounding_metrics(chosen, regions, region_mask, boxes, box_mask)
    monkeypatch.setattr(grounding, "BLOCK", 4)
    assert grounding_metrics(chosen, regions, region_mask, boxes, box_mask) == pytest.approx(expected)
    regions[~region_mask] = torch.tensor([0.0, 0, 1, 1]).double()
    boxes[~box_mask] = torch.tensor([0.0, 0, 1, 1]).double()
    assert grounding_metrics(chosen, regions, region_mask, boxes, box_mask) == pytest.approx(expected)


def test_the_random_baseline_is_the_mean_over_all_choices():
    data = example(4)
    found = []
    for _, *rest in zip(*(part.split(1) for part in data), strict=True):
        real = rest[1][0].nonzero()[:, 0].tolist()
        choices = [grounding_metrics(torch.tensor([i]), *rest)["grounding_iou50"] for i in real]
        found.append(sum(choices) / len(choices))
    assert grounding_metrics(*data)["grounding_baseline_random"] == pytest.approx(sum(found) / len(found))
    assert 0 < sum(found) < 1200


# from products to a phrase's region


def naive_region(u, real, start, stop, path=None):
    if start >= stop:
        return -1
    regions = [i for i in range(u.shape[1]) if real[i]]
    sums = {i: sum(float(u[t, i]) for t in range(start, stop)) for i in regions}
    if path is not None:
        votes = [int(a) for a in path[start:stop]]
        regions = [i for i in regions if votes.count(i) == max(map(votes.count, votes))]
    return max(regions, key=lambda i: (sums[i], -i))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 6), st.booleans())
def test_a_phrases_region_equals_naive_loops(seed, words, regions, with_path):
    generator = torch.Generator().manual_seed(seed)
    u = torch.randint(-2, 3, (8, words, regions), generator=generator).double()  # many ties
    real = ragged(8, regions, generator)
    u.masked_fill_(~real[:, None], 99.0)
    ends = torch.randint(0, words + 1, (8, 2), generator=generator).sort(1).values
    path = None
    if with_path:
        path = torch.multinomial(real.double().repeat_interleave(words, 0), 1, generator=generator).view(8, words)
    found = phrase_regions(u, real, ends[:, 0], ends[:, 1], path)
    expected = [
        naive_region(u[k], real[k], *ends[k].tolist(), None if path is None else path[k].tolist()) for k in range(8)
    ]
    assert found.tolist() == expected


def test_words_outside_the_phrase_have_no_say():
    u = torch.zeros(1, 4, 3)
    u[0, 0, 0] = u[0, 3, 0] = 100.0
    u[0, 1, 1], u[0, 2, 2], u[0, 1, 2] = 3.0, 2.5, 1.0
    real, start, stop = torch.ones(1, 3, dtype=torch.bool), torch.tensor([1]), torch.tensor([3])
    assert phrase_regions(u, real, start, stop).tolist() == [2]
    assert phrase_regions(u, real, start, stop, torch.tensor([[0, 1, 1, 0]])).tolist() == [1]
    assert phrase_regions(u, real, start, stop, torch.tensor([[0, 1, 2, 0]])).tolist() == [2]  # a tie: the higher sum
    u[0, 0] = torch.nan
    assert phrase_regions(u, real, start, stop).tolist() == [2]
    u[0, 2, 1] = torch.nan
    with pytest.raises(ValueError, match="products of phrase 0 are NaN"):
        phrase_regions(u, real, start, stop)


# from a model and pairs


def linked(dataset):
    """The six pictures with boxes, and phrases that share words, have one box or two, or are not known at all."""
    quarter, right, most = [0, 0, 0.5, 0.5], [0.5, 0.25, 1, 1], [0, 0, 1, 0.8]
    phrases = {
        (0, 0): (Phrase(0, 3, (0,)), Phrase(3, 6, (2,)), Phrase(0, 6, (0, 1))),
        (0, 1): (Phrase(1, 2, (1,)),),
        (2, 0): (Phrase(0, 2, (1, 2)), Phrase(4, 6, (0,))),
        (2, 1): (Phrase(0, 1, (1,)),),
        (5, 0): (Phrase(1, 2, (2,)), Phrase(1, 3, (0,))),  # "white" is not known; "white cat"
        (5, 1): (Phrase(5, 6, (2,)),),
    }
    records = []
    for k, record in enumerate(dataset):
        sentences = [replace(s, phrases=phrases.get((k, n), ())) for n, s in enumerate(record.sentences)]
        if k == 3:  # a sentence of which nothing is known
            sentences.append(Sentence("zebra zoo", ("zebra", "zoo"), (Phrase(0, 1, (0,)), Phrase(1, 2, (1,)))))
        boxes = None if k == 4 else np.array([quarter, right, most], dtype=np.float32)
        records.append(replace(record, sentences=tuple(sentences), boxes=boxes))
    return Dataset(dataset.name, records)


def vocabulary_of(dataset, without=("white", "zebra", "zoo")):
    words = [[w for w in s.tokens if w not in without] for record in dataset for s in record.sentences]
    return Vocabulary.from_sentences(words, minimum_count=1)


@pytest.fixture
def pairs(dataset, store):
    dataset = linked(dataset)
    with pytest.warns(UserWarning, match="left out 0 pictures without features and 1 sentences"):
        return Pairs(dataset, store, vocabulary_of(dataset))


def make_model(pairs, seed=0):
    config = AlignmentConfig(len(pairs.vocabulary), 12, embedding_size=8, hidden_size=8, word_size=6, dropout=0.5)
    model = seeded(lambda: AlignmentModel(config), seed)
    model.standardise(*pairs.feature_statistics())
    return model


def test_phrases_point_at_the_known_words(pairs):
    phrases = linked_phrases(pairs)
    assert len(phrases) == 12
    assert phrases.picture.tolist() == [0, 0, 0, 0, 2, 2, 2, 3, 3, 5, 5, 5]
    assert phrases.pair.tolist() == [0, 0, 0, 1, 4, 4, 5, -1, -1, 10, 10, 11]
    spans = list(zip(phrases.start.tolist(), phrases.stop.tolist(), strict=True))
    assert spans == [(0, 3), (3, 6), (0, 6), (1, 2), (0, 2), (4, 6), (0, 1), (0, 0), (0, 0), (1, 1), (1, 2), (5, 6)]
    assert phrases.box_mask.sum(1).tolist() == [1, 1, 2, 1, 2, 1, 1, 1, 1, 1, 1, 1]
    torch.testing.assert_close(phrases.boxes[4], torch.tensor([[0.5, 0.25, 1, 1], [0, 0, 1, 0.8]]))
    assert not phrases.boxes[~phrases.box_mask].any()
    for k in range(12):  # the words there are those that were meant
        if phrases.pair[k] >= 0:
            row, number = pairs.sentences[phrases.pair[k]]
            tokens = pairs.tokens[phrases.pair[k]][phrases.start[k] : phrases.stop[k]]
            texts = [
                [w for w in sentence.tokens[p.start : p.stop] if w in pairs.vocabulary]
                for sentence in [pairs.records[row].sentences[number]]
                for p in sentence.phrases
            ]
            assert pairs.vocabulary.decode(tokens) in texts


def naive_grounding(model, pairs, beta):
    """One phrase after the other, from the records."""
    judged = []
    for row, record in enumerate(pairs.records):
        features, mask, boxes = pairs.pictures([row])
        for sentence in record.sentences:
            known = pairs.vocabulary.known(sentence.tokens)
            tokens = torch.tensor([pairs.vocabulary.encode(sentence.tokens)])
            for phrase in sentence.phrases:
                words = [t for t, position in enumerate(known) if phrase.start <= position < phrase.stop]
                region = -1
                if words:
                    real = torch.ones(1, len(known), dtype=torch.bool)
                    v, s = model.embed_regions(features, mask)[0], model.embed_words(tokens, real)[0]
                    u, path = s @ v.T, None
                    if beta is not None:
                        reward = relative_beta(u[None], real, mask, beta)
                        path = best_path(u[None], real, mask, reward)[0][0].tolist()
                    region = naive_region(u, mask[0], words[0], words[-1] + 1, path)
                true = torch.tensor(record.boxes[list(phrase.boxes)]).double()
                judged.append((region, boxes[0].double(), mask[0], true))
    chosen = torch.tensor([one[0] for one in judged])
    regions, mask = torch.stack([one[1] for one in judged]), torch.stack([one[2] for one in judged])
    things = max(len(one[3]) for one in judged)
    true = torch.stack([torch.nn.functional.pad(one[3], (0, 0, 0, things - len(one[3]))) for one in judged])
    box_mask = torch.stack([torch.arange(things) < len(one[3]) for one in judged])
    return chosen, naive_metrics(chosen, regions, mask, true, box_mask)


@pytest.mark.parametrize("beta", [None, 0.0, 0.3, 50.0])
def test_a_model_is_measured_as_naive_loops_measure_it(pairs, beta):
    seen = set()
    for seed in range(4):
        model = make_model(pairs, seed)
        with torch.no_grad():
            chosen, expected = naive_grounding(model, pairs, beta)
        for batch_size in (500, 2):
            assert evaluate_grounding(model, pairs, beta, batch_size) == pytest.approx(expected)
        seen |= set(chosen.tolist())
    assert len(seen) > 2, "the models chose one and the same region everywhere: nothing was tested"
    assert expected["grounding_phrases"] == 12
    assert expected["grounding_unknown_phrases"] == 3


def test_the_model_is_run_without_dropout_and_left_as_it_was(pairs):
    model = make_model(pairs)
    expected = evaluate_grounding(model, pairs)
    model.train()
    before = torch.get_rng_state()
    assert evaluate_grounding(model, pairs) == expected
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)


def test_a_model_that_knows_everything_reaches_the_upper_bound(pairs):
    model, phrases = make_model(pairs), linked_phrases(pairs)

    class Knowing(torch.nn.Module):
        """Points each word of "men", say, at the region that fits the phrase's box best."""

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def products(self, batch):
            u = torch.zeros(*batch.tokens.shape, batch.regions.shape[1])
            for k in range(len(phrases)):
                for row in range(len(batch)):
                    tokens = batch.tokens[row, : int(batch.word_mask[row].sum())].tolist()
                    if phrases.pair[k] >= 0 and tokens == pairs.tokens[phrases.pair[k]]:
                        true = phrases.boxes[k][phrases.box_mask[k]].tolist()
                        fit = [max(iou(region, box) for box in true) for region in batch.boxes[row].tolist()]
                        u[row, phrases.start[k] : phrases.stop[k], int(np.argmax(fit))] += 1
            return u

    only = {(0, 1), (2, 0), (5, 1)}  # sentences whose phrases share no words
    for row, record in enumerate(pairs.records):
        kept = [s if (row, n) in only else replace(s, phrases=()) for n, s in enumerate(record.sentences)]
        pairs.records[row] = replace(record, sentences=tuple(kept))
    phrases = linked_phrases(pairs)
    metrics = evaluate_grounding(Knowing(), pairs)
    assert metrics["grounding_iou50"] == metrics["grounding_upper_bound"] == 100
    assert metrics["grounding_phrases"] == 4
    assert evaluate_grounding(model, pairs)["grounding_upper_bound"] == 100


def test_fewer_regions_have_a_lower_upper_bound(dataset, store):
    dataset = linked(dataset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every, whole = (Pairs(dataset, store, vocabulary_of(dataset), regions=n) for n in (None, 1))
    model = make_model(every)
    many, one = evaluate_grounding(model, every), evaluate_grounding(model, whole)
    assert many["grounding_phrases"] == one["grounding_phrases"]
    assert many["grounding_baseline_whole"] == one["grounding_baseline_whole"]
    assert many["grounding_upper_bound"] > one["grounding_upper_bound"] == one["grounding_baseline_whole"]
    assert one["grounding_baseline_largest"] == one["grounding_baseline_random"] == one["grounding_baseline_whole"]


def test_a_picture_that_could_not_be_read_takes_its_phrases_with_it(dataset, backbone, tmp_path):
    dataset = linked(dataset)
    dataset[2].picture.write_bytes(b"broken")
    with pytest.warns(UserWarning, match="skipped 1 pictures"):
        store = extract_features(dataset, backbone, four_regions, tmp_path / "s", count=4, size=64, progress=False)
    with pytest.warns(UserWarning, match="left out 1 pictures"):
        pairs = Pairs(dataset, store, vocabulary_of(dataset))
    assert evaluate_grounding(make_model(pairs), pairs)["grounding_phrases"] == 9


# bad input


@pytest.mark.parametrize(
    ("phrase", "message"),
    [
        (Phrase(3, 9, (0,)), r"0.png, sentence 0: a phrase of the words 3 to 9 in a sentence of 6 words"),
        (Phrase(2, 2, (0,)), r"words 2 to 2"),
        (Phrase(-1, 2, (0,)), r"words -1 to 2"),
        (Phrase(0, 2, ()), r"is linked to the boxes \(\) of 3"),
        (Phrase(0, 2, (1, 3)), r"is linked to the boxes \(1, 3\) of 3"),
        (Phrase(0, 2, (-1,)), r"is linked to the boxes \(-1,\) of 3"),
    ],
)
def test_phrases_that_point_nowhere_are_named(pairs, phrase, message):
    first = pairs.records[0]
    pairs.records[0] = replace(first, sentences=(replace(first.sentences[0], phrases=(phrase,)),))
    with pytest.raises(ValueError, match=message):
        linked_phrases(pairs)


def test_bad_input_is_named(pairs, dataset, store):
    chosen, regions, region_mask, boxes, box_mask = example(0)
    with pytest.raises(ValueError, match="at least one phrase"):
        grounding_metrics(*(part[:0] for part in (chosen, regions, region_mask, boxes, box_mask)))
    with pytest.raises(ValueError, match=r"12 phrases need region coordinates \[phrases, n, 4\] and a mask"):
        grounding_metrics(chosen, regions, region_mask[:, :3], boxes, box_mask)
    with pytest.raises(ValueError, match=r"12 phrases need true box coordinates .* got \(4, 3, 4\) and \(4, 3\)"):
        grounding_metrics(chosen, regions, region_mask, boxes[:4], box_mask[:4])
    none = torch.arange(12)[:, None] != 7
    with pytest.raises(ValueError, match="phrase 7 has no region: leave it out"):
        grounding_metrics(chosen, regions, region_mask & none, boxes, box_mask)
    with pytest.raises(ValueError, match="phrase 7 has no true box: leave it out"):
        grounding_metrics(chosen, regions, region_mask, boxes, box_mask & none)
    for wrong in (5, -2, int((~region_mask[4]).nonzero()[0])):
        bad = chosen.clone()
        bad[4] = wrong
        with pytest.raises(ValueError, match=f"the region {wrong} of phrase 4 is not real"):
            grounding_metrics(bad, regions, region_mask, boxes, box_mask)
    model = make_model(pairs)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        evaluate_grounding(model, pairs, batch_size=0)
    with pytest.raises(ValueError, match=r"beta must be at least 0 and finite, got -1.0"):
        evaluate_grounding(model.train(), pairs, beta=-1.0)
    assert model.training
    with pytest.raises(ValueError, match="no sentence has a phrase with known boxes"):
        evaluate_grounding(model, Pairs(dataset, store, pairs.vocabulary))
    with torch.no_grad():
        model.regions.bias[0] = torch.nan
    with pytest.raises(ValueError, match="are NaN: check the features"):
        evaluate_grounding(model, pairs)
