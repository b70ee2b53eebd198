"""Greedy, sampling and beam search against brute force, a literal beam search, and one another."""

from itertools import product

import pytest
import torch

from vsa_lite.captioning.decoding import _top, beam_search, greedy, sample
from vsa_lite.captioning.rnn import MultimodalRNN


def lively(words=8, size=5, seed=0, cell="rnn", spread=6.0, dtype=torch.float32):
    """An untrained model with strong opinions, so that sentences differ in words and length."""
    generator = torch.Generator().manual_seed(seed)
    model = MultimodalRNN(words, size, 16, cell=cell, generator=generator).to(dtype).eval()
    with torch.no_grad():
        model.output.weight.normal_(0, spread / 4, generator=generator)
        model.image.weight.normal_(0, 1, generator=generator)
    return model, torch.randn(12, size, generator=generator, dtype=dtype)


def log_probability(model, features, sentence, finished=True):
    """log P of one sentence, word by word."""
    state, total = model.initial_state(features[None]), 0.0
    for previous, word in zip([model.start, *sentence], [*sentence, *([0] if finished else [])], strict=False):
        log_probabilities, state = model.step(state, torch.tensor([previous]))
        total += log_probabilities[0, word].item()
    return total


def literal_beam_search(model, features, beam_size, max_length, alpha):
    """As neuraltalk does it: one picture, a list of beginnings, Python's own sort."""
    beams = [(0.0, [], model.initial_state(features[None]))]
    for _ in range(max_length):
        candidates = []
        for total, words, state in beams:
            if words and words[-1] == 0:
                candidates.append((total, words, state))
                continue
            previous = torch.tensor([words[-1] if words else model.start])
            log_probabilities, following = model.step(state, previous)
            for word, gain in enumerate(log_probabilities[0].tolist()):
                candidates.append((total + gain, [*words, word], following))
        candidates.sort(key=lambda c: -c[0] / len(c[1]) ** alpha)
        beams = candidates[:beam_size]
    return [([w for w in words if w], total) for total, words, _ in beams]


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_beam_1_equals_greedy_exactly(cell):
    lengths = set()
    for seed in range(10):
        model, features = lively(seed=seed, cell=cell)
        beam, one = beam_search(model, features, beam_size=1), greedy(model, features)
        assert beam.tokens == one.tokens
        assert torch.equal(beam.log_probability, one.log_probability)
        lengths |= set(map(len, one.tokens))
    assert len(lengths) > 5  # short, long and cut sentences were among them


def test_equally_probable_words_are_chosen_alike():
    model, features = lively()
    with torch.no_grad():
        model.output.weight.zero_()
        model.output.bias.copy_(torch.tensor([-1.0, 0, 2, 2, 2, 1, 2, 0]))
    assert greedy(model, features, max_length=4).tokens == [[2, 2, 2, 2]] * 12
    assert beam_search(model, features, beam_size=1, max_length=4).tokens == [[2, 2, 2, 2]] * 12
    best = beam_search(model, features[:1], beam_size=3, max_length=2, n_best=3)
    assert [ranked.tokens for ranked in best.n_best] == [[[2, 2]], [[2, 3]], [[2, 4]]]


def test_top_equals_a_stable_sort():
    generator = torch.Generator().manual_seed(1)
    for n, k in ((9, 1), (9, 4), (9, 8), (9, 9), (200, 7)):
        values = torch.randint(0, 6, (50, n), generator=generator).float()  # full of equals
        expected = values.sort(dim=1, descending=True, stable=True)
        best, index = _top(values, k)
        assert torch.equal(best, expected.values[:, :k])
        assert torch.equal(index, expected.indices[:, :k])


def test_a_beam_scores_at_least_as_well_as_greedy_on_these_seeds():
    better = 0
    for seed in range(5):
        model, features = lively(seed=seed)
        beam, one = beam_search(model, features, beam_size=7), greedy(model, features)
        assert (beam.log_probability >= one.log_probability - 1e-5).all()
        better += (beam.log_probability > one.log_probability + 1e-3).sum().item()
    assert better > 5  # and often better: the search is not greedy in disguise


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_a_full_beam_finds_what_brute_force_finds(cell):
    # with max_length 2 and a beam as wide as the vocabulary no beginning is ever lost
    model, features = lively(words=5, cell=cell, dtype=torch.float64, spread=2.0)
    found = beam_search(model, features, beam_size=5, max_length=2, n_best=5)
    for k, picture in enumerate(features):
        every = [([], log_probability(model, picture, []))]
        every += [([w], log_probability(model, picture, [w])) for w in range(1, 5)]
        every += [(list(w), log_probability(model, picture, w, finished=False)) for w in product(range(1, 5), repeat=2)]
        every.sort(key=lambda pair: -pair[1])
        assert [ranked.tokens[k] for ranked in found.n_best] == [words for words, _ in every[:5]]
        scores = [ranked.log_probability[k].item() for ranked in found.n_best]
        assert scores == pytest.approx([score for _, score in every[:5]])


@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_beams_equal_a_literal_beam_search(cell, alpha):
    for seed in range(4):
        model, features = lively(seed=seed, cell=cell, dtype=torch.float64)
        found = beam_search(model, features, 3, max_length=7, length_normalisation=alpha, n_best=3)
        for k, picture in enumerate(features):
            expected = literal_beam_search(model, picture, 3, 7, alpha)
            assert [ranked.tokens[k] for ranked in found.n_best] == [words for words, _ in expected]
            scores = [ranked.log_probability[k].item() for ranked in found.n_best]
            assert scores == pytest.approx([score for _, score in expected])
        assert found.tokens == found.n_best[0].tokens


def test_length_normalisation_makes_sentences_longer():
    model, features = lively(seed=3)
    plain = beam_search(model, features, beam_size=5)
    normalised = beam_search(model, features, beam_size=5, length_normalisation=1.0)
    assert sum(map(len, normalised.tokens)) > sum(map(len, plain.tokens))
    assert (normalised.log_probability <= plain.log_probability + 1e-5).all()


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_pictures_do_not_disturb_one_another(cell):
    for decode in (greedy, beam_search, lambda m, f: beam_search(m, f, 3, length_normalisation=1.0)):
        model, features = lively(cell=cell, dtype=torch.float64)
        together = decode(model, features)
        alone = [decode(model, features[k : k + 1]) for k in range(len(features))]
        assert together.tokens == [one.tokens[0] for one in alone]
        torch.testing.assert_close(together.log_probability, torch.cat([one.log_probability for one in alone]))


def test_log_probability_is_that_of_the_sentence():
    model, features = lively(dtype=torch.float64)
    generator = torch.Generator().manual_seed(2)
    for captions in (
        greedy(model, features, 5),
        beam_search(model, features, 3, 5),
        sample(model, features, generator, 2.0, 5),
    ):
        assert max(map(len, captions.tokens)) == 5 > min(map(len, captions.tokens))
        for k, sentence in enumerate(captions.tokens):
            expected = log_probability(model, features[k], sentence, finished=len(sentence) < 5)
            assert captions.log_probability[k].item() == pytest.approx(expected)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_sampled_frequencies_are_the_probabilities(temperature):
    model, features = lively(words=5, spread=2.0)
    n = 40_000
    drawn = sample(model, features[:1].expand(n, -1), torch.Generator().manual_seed(3), temperature, max_length=1)
    counts = torch.bincount(torch.tensor([words[0] if words else 0 for words in drawn.tokens]), minlength=5)
    log_probabilities, _ = model.step(model.initial_state(features[:1]), torch.tensor([model.start]))
    p = (log_probabilities[0] / temperature).softmax(0).detach()
    assert ((counts / n - p).abs() < 5 * (p * (1 - p) / n).sqrt() + 1e-9).all()


def test_samples_repeat_with_the_generator_and_vary_without():
    model, features = lively()
    draws = [sample(model, features, torch.Generator().manual_seed(seed)).tokens for seed in (4, 4, 5)]
    assert draws[0] == draws[1] != draws[2]
    cold = sample(model, features, torch.Generator().manual_seed(6), temperature=1e-4)
    assert cold.tokens == greedy(model, features).tokens


def test_decoding_runs_without_dropout_and_leaves_the_model_as_it_was():
    model, features = lively()
    expected = greedy(model, features)
    model.train()
    again = greedy(model, features)
    assert model.training
    assert again.tokens == expected.tokens
    assert torch.equal(again.log_probability, expected.log_probability)
    assert not again.log_probability.requires_grad
    with pytest.raises(ValueError, match="max_length"):
        beam_search(model, features, max_length=0)
    assert model.training


def test_no_pictures_give_no_captions():
    model, features = lively()
    for captions in (
        greedy(model, features[:0]),
        beam_search(model, features[:0], n_best=2),
        sample(model, features[:0], torch.Generator()),
    ):
        assert captions.tokens == []
        assert captions.log_probability.shape == (0,)
        assert len(captions) == 0


def test_bad_input_is_named():
    model, features = lively()
    generator = torch.Generator()
    for options, message in (
        ({"beam_size": 0}, "beam_size must be at least 1, got 0"),
        ({"beam_size": 9}, "beam_size must be at most 8, the size of the vocabulary, got 9"),
        ({"max_length": 0}, "max_length must be at least 1, got 0"),
        ({"n_best": 8}, r"n_best must be from 1 to beam_size \(7\), got 8"),
        ({"length_normalisation": -1}, "length_normalisation must be at least 0"),
    ):
        with pytest.raises(ValueError, match=message):
            beam_search(model, features, **options)
    with pytest.raises(ValueError, match="max_length must be at least 1"):
        greedy(model, features, 0)
    for temperature in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="temperature must be above 0"):
            sample(model, features, generator, temperature)
    for decode in (greedy, beam_search, lambda m, f: sample(m, f, generator)):
        with pytest.raises(ValueError, match=r"\(images, 5\), got \(12, 4\)"):
            decode(model, features[:, :4])
        with pytest.raises(ValueError, match="NaN"):
            decode(model, features.masked_fill(features > 1, torch.nan))
