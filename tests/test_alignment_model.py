"""The alignment model against naive loops and numeric gradients, its plateaus, what it learns; pairs from a store."""

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import four_regions, seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from vsa_lite.alignment.model import AlignmentConfig, AlignmentModel
from vsa_lite.alignment.pairs import Pairs
from vsa_lite.data.batches import Batch, pad_tokens
from vsa_lite.data.records import Dataset, Record, Sentence
from vsa_lite.regions.features import extract_features
from vsa_lite.regions.store import StoreError
from vsa_lite.training import TrainingConfig, train
from vsa_lite.words.vocabulary import Vocabulary

LOSSES = ("structured", "hardest", "contrastive")
CONFIG = AlignmentConfig(vocabulary_size=9, feature_size=5, embedding_size=4, hidden_size=3, word_size=3)


def model_of(config=CONFIG, **changes) -> AlignmentModel:
    return seeded(lambda: AlignmentModel(replace(config, **changes)))


def make_batch(pairs=4, regions=3, words=5, d=5, vocabulary=9, ids=None, dtype=torch.float32, seed=0) -> Batch:
    """Random pairs of ragged sizes; every picture of one id has the same regions."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.arange(pairs) if ids is None else torch.tensor(ids)
    region_mask = torch.arange(regions) < torch.randint(1, regions + 1, (pairs, 1), generator=generator)
    word_mask = torch.arange(words) < torch.randint(1, words + 1, (pairs, 1), generator=generator)
    features = torch.randn(pairs, regions, d, generator=generator, dtype=dtype)
    tokens = torch.randint(1, vocabulary, (pairs, words), generator=generator)
    for row, image_id in enumerate(ids.tolist()):
        first = ids.tolist().index(image_id)
        features[row], region_mask[row] = features[first], region_mask[first]
    boxes = torch.tensor([0.0, 0, 1, 1]).expand(pairs, regions, 4) * region_mask[..., None]
    return Batch(ids, features * region_mask[..., None], region_mask, boxes, tokens * word_mask, word_mask)


def naive_scores(model, batch):
    """S_kl as the book writes it: one picture, one sentence, one word, one region after the other."""
    config, weight, bias = model.config, model.regions.weight, model.regions.bias
    scores = torch.zeros(len(batch), len(batch), dtype=weight.dtype)
    for k in range(len(batch)):
        v = []
        for i in range(int(batch.region_mask[k].sum())):
            x = (batch.regions[k, i] - model.feature_mean) / model.feature_deviation
            vector = weight @ x + bias
            v.append(vector / vector.norm() if config.unit_vectors else vector)
        for l in range(len(batch)):  # noqa: E741
            n = int(batch.word_mask[l].sum())
            tokens = batch.tokens[l : l + 1, :n]
            s = model.brnn(model.word_vectors(tokens), torch.ones(1, n, dtype=torch.bool))[0]
            total = 0.0
            for t in range(n):
                word = s[t] / s[t].norm() if config.unit_vectors else s[t]
                products = [float(word @ region) for region in v]
                total += max(products) if config.score == "max" else sum(max(0.0, p) for p in products)
            scores[k, l] = total / {"sum": 1, "mean": n, "smooth": n + 10}[config.normalisation]
    return scores


def naive_loss(model, batch, S):
    ids, m, scale = batch.image_ids.tolist(), model.config.margin, float(model.log_scale.exp())
    total = 0.0
    for k in range(len(batch)):
        others = [j for j in range(len(batch)) if ids[j] != ids[k]]
        rows = [max(0.0, float(S[k, j] - S[k, k]) + m) for j in others]
        columns = [max(0.0, float(S[j, k] - S[k, k]) + m) for j in others]
        if model.config.loss == "structured":
            total += sum(rows) + sum(columns)
        elif model.config.loss == "hardest":
            total += max([0.0, *rows]) + max([0.0, *columns])
        else:
            true = scale * float(S[k, k])
            for wrong in ([S[k, j] for j in others], [S[j, k] for j in others]):
                total += (math.log(sum(math.exp(scale * float(w)) for w in wrong) + math.exp(true)) - true) / 2
    return total / len(batch)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("score", ["max", "sum"])
@pytest.mark.parametrize(("normalisation", "unit"), [("sum", False), ("mean", True), ("smooth", False)])
@torch.no_grad()
def test_scores_and_losses_equal_naive_loops(loss, score, normalisation, unit):
    model = model_of(loss=loss, score=score, normalisation=normalisation, unit_vectors=unit, scale=3.0, margin=0.3)
    model = model.double()
    model.standardise(torch.linspace(-1, 1, 5).double(), torch.linspace(0.5, 2, 5).double())
    batch = make_batch(5, ids=[0, 1, 1, 2, 3], dtype=torch.float64)
    expected = naive_scores(model, batch)
    torch.testing.assert_close(model(batch), expected)
    assert float(model.loss(batch)) == pytest.approx(naive_loss(model, batch, expected))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("score", "unit"), [("max", False), ("max", True), ("sum", False), ("sum", True)])
def test_gradients_of_the_whole_model_are_right(loss, score, unit):
    model = model_of(loss=loss, score=score, unit_vectors=unit, train_words=True, scale=2.0).double()
    with torch.no_grad():
        for parameter in model.brnn.parameters():  # away from the corner of every ReLU
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    batch = make_batch(4, 2, 4, ids=[0, 1, 1, 2], dtype=torch.float64)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    values = [dict(model.named_parameters())[name].detach().clone().requires_grad_() for name in names]

    class Loss(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self):
            return self.model.loss(batch)

    def loss_of(*parameters):
        given = {f"model.{name}": value for name, value in zip(names, parameters, strict=True)}
        return torch.func.functional_call(Loss(), given, ())

    assert any(name.startswith("word_vectors") for name in names)
    assert ("log_scale" in names) == (loss == "contrastive")
    assert torch.autograd.gradcheck(loss_of, values, eps=1e-7, atol=1e-5)
    gradients = torch.autograd.grad(loss_of(*values), values)
    assert all(gradient.abs().sum() > 0 for gradient in gradients), "a parameter that nothing depends on"


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(0, 3), st.integers(0, 3), st.booleans())
def test_padding_changes_nothing(pairs, regions, words, more_regions, more_words, unit):
    model, batch = model_of(unit_vectors=unit), make_batch(pairs, regions, words)
    pad = torch.nn.functional.pad
    wider = Batch(
        batch.image_ids,
        pad(batch.regions, (0, 0, 0, more_regions), value=7.0),
        pad(batch.region_mask, (0, more_regions)),
        pad(batch.boxes, (0, 0, 0, more_regions)),
        pad(batch.tokens, (0, more_words), value=3),
        pad(batch.word_mask, (0, more_words)),
    )
    with torch.no_grad():
        torch.testing.assert_close(model(wider), model(batch))
        torch.testing.assert_close(model.loss(wider), model.loss(batch))
        v, s = model.embed_regions(wider.regions, wider.region_mask), model.embed_words(wider.tokens, wider.word_mask)
    assert v.shape == (pairs, regions + more_regions, 4)
    assert s.shape == (pairs, words + more_words, 4)
    assert not v[~wider.region_mask].any()
    assert not s[~wider.word_mask].any()


def test_unit_vectors_have_length_one_and_printed_words_are_not_negative():
    batch = make_batch()
    printed, unit = model_of(), model_of(unit_vectors=True)
    with torch.no_grad():
        assert (printed.embed_words(batch.tokens, batch.word_mask) >= 0).all()
        s, v = unit.embed_words(batch.tokens, batch.word_mask), unit.embed_regions(batch.regions, batch.region_mask)
    assert (s < 0).any(), "without the last ReLU a cosine can be negative"
    torch.testing.assert_close(s.norm(dim=-1), batch.word_mask.float())
    torch.testing.assert_close(v.norm(dim=-1), batch.region_mask.float())


def test_the_words_of_a_unit_sentence_sum_to_length_one_and_the_score_is_a_cosine():
    batch = make_batch(regions=1)
    model = model_of(unit_vectors=True, unit_sentences=True)
    with torch.no_grad():
        s, v = model.embed_words(batch.tokens, batch.word_mask), model.embed_regions(batch.regions, batch.region_mask)
        scores = model(batch)
    torch.testing.assert_close(s.sum(1).norm(dim=-1), torch.ones(4))
    assert not s[~batch.word_mask].any()
    lengths = s.norm(dim=-1)[batch.word_mask]
    assert lengths.max() > 1.2 * lengths.min(), "words keep their own weights"
    torch.testing.assert_close(scores, torch.cosine_similarity(v, s.sum(1)[None], dim=-1))


def test_products_are_what_the_score_takes_its_maximum_of():
    model, batch = model_of(), make_batch()
    u = model.products(batch)
    assert u.shape == (4, 5, 3)
    best = u.masked_fill(~batch.region_mask[:, None], -torch.inf).amax(2)
    with torch.no_grad():
        torch.testing.assert_close((best * batch.word_mask).sum(1), model(batch).diagonal())


def test_the_batchs_order_does_not_matter():
    model, batch = model_of(), make_batch()
    order = torch.tensor([2, 0, 3, 1])
    turned = Batch(**{name: getattr(batch, name)[order] for name in Batch.__dataclass_fields__})
    with torch.no_grad():
        torch.testing.assert_close(model(turned), model(batch)[order][:, order])


# what it learns


def test_constant_scores_give_the_plateau_and_training_names_it():
    batch = make_batch(8)
    for loss, plateau in (("structured", 2 * 7 * 0.5), ("hardest", 2 * 0.5), ("contrastive", math.log(8))):
        model = model_of(loss=loss, margin=0.5)
        with torch.no_grad():
            model.regions.weight.zero_()
            model.regions.bias.zero_()
        assert float(model.loss(batch)) == pytest.approx(plateau)
        config = TrainingConfig(2, 8, 1e-8, "sgd")
        with pytest.warns(UserWarning, match=rf"a plateau: {plateau:.4g} is the loss of a model that tells nothing"):
            train(model, 8, lambda indices: batch, config, plateau=plateau, progress=False)


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "structured"},
        {"loss": "structured", "score": "sum"},
        {"loss": "hardest", "unit_vectors": True, "normalisation": "mean", "margin": 0.2},
        {"loss": "contrastive", "unit_vectors": True, "normalisation": "mean"},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_eight_pairs_can_be_learned_by_heart(changes):
    model = model_of(feature_size=64, embedding_size=32, hidden_size=32, word_size=16, train_words=True, **changes)
    if (
        model.config.score == "sum"
    ):  # eq. 7 starts where every product is above 0; below, it is dead (see the next test)
        torch.nn.init.constant_(model.regions.bias, 0.3)
    words = [[t % 8 + 1, (3 * t + 1) % 8 + 1, (5 * t + 2) % 7 + 1][: 1 + t % 3] for t in range(8)]
    tokens, word_mask = pad_tokens(words)
    batch = replace(make_batch(8, 4, d=64), tokens=tokens, word_mask=word_mask)
    config = TrainingConfig(200, 8, 0.01, schedule="constant")
    history = train(model, 8, lambda indices: batch, config, progress=False)
    assert history.best["loss"] < 0.01
    with torch.no_grad():
        scores = model(batch)
    assert scores.argmax(1).tolist() == list(range(8)), "sentence R@1 is not 100"
    assert scores.argmax(0).tolist() == list(range(8)), "image R@1 is not 100"


def test_eq_7_cannot_raise_a_picture_from_the_dead():
    model, batch = model_of(score="sum"), make_batch()
    with torch.no_grad():
        model.regions.bias.fill_(-100.0)  # s >= 0, so every product is below 0
    loss = model.loss(batch)
    assert float(loss.detach()) == 2 * 3
    loss.backward()
    assert not any(p.grad.any() for p in model.parameters() if p.grad is not None)
    model = AlignmentModel(replace(model.config, score="max"))
    with torch.no_grad():
        model.regions.bias.fill_(-100.0)
    model.loss(batch).backward()
    assert model.regions.weight.grad.any(), "eq. 8 has a best region whatever its sign"


def test_word_vectors_stay_fixed_unless_they_are_to_be_trained():
    batch = make_batch()
    for train_words in (False, True):
        model = model_of(train_words=train_words)
        before = model.word_vectors.weight.detach().clone()
        train(model, 4, lambda indices: batch, TrainingConfig(2, 4, 0.01), progress=False)
        assert torch.equal(before, model.word_vectors.weight) != train_words


def test_dropout_acts_in_training_only():
    model, batch = model_of(dropout=0.5), make_batch()
    with torch.no_grad():
        assert torch.equal(model(batch), model(batch))
        model.train()
        torch.manual_seed(0)
        assert not torch.equal(model(batch), model(batch))


# its parts


def test_word_vectors_are_taken_over_except_for_words_without_any():
    model, matrix = model_of(), torch.zeros(9, 3)
    before = model.word_vectors.weight.detach().clone()
    matrix[2:] = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)) * 40
    model.set_word_vectors(matrix)
    after = model.word_vectors.weight.detach()
    assert torch.equal(after[:2], before[:2])
    torch.testing.assert_close(after[2:] * matrix[2, 0], matrix[2:] * after[2, 0])  # the same but for one factor
    assert float(after[2:].pow(2).mean()) == pytest.approx(1)
    with pytest.raises(ValueError, match=r"must have shape \(9, 3\), got \(9, 4\)"):
        model.set_word_vectors(torch.zeros(9, 4))
    model.set_word_vectors(torch.zeros(9, 3))
    assert torch.equal(model.word_vectors.weight, after)
    matrix[4, 1] = torch.nan
    with pytest.raises(ValueError, match="word vector 4 is not finite"):
        model.set_word_vectors(matrix)


def test_standardised_features_have_mean_0_and_deviation_1():
    model, generator = model_of(), torch.Generator().manual_seed(0)
    features = torch.randn(50, 4, 5, generator=generator) * torch.tensor([1.0, 2, 3, 4, 50]) + 9
    flat = features.reshape(-1, 5)
    plain = model.embed_regions((features - flat.mean(0)) / flat.std(0), torch.ones(50, 4, dtype=torch.bool))
    model.standardise(flat.mean(0), flat.std(0))
    torch.testing.assert_close(model.embed_regions(features, torch.ones(50, 4, dtype=torch.bool)), plain)
    assert {"feature_mean", "feature_deviation"} <= set(model.state_dict())


def test_a_model_can_be_made_again_from_its_configuration():
    model = model_of(loss="hardest", score="sum", dropout=0.25, unit_vectors=True)
    again = AlignmentModel.from_config(model.config_dict())
    assert again.config == model.config
    again.load_state_dict(model.state_dict())
    with torch.no_grad():
        assert torch.equal(again.eval()(make_batch()), model(make_batch()))


def test_features_of_another_backbone_are_refused():
    with pytest.raises(ValueError, match="takes region features of size 5, got 6: they come from another backbone"):
        model_of()(make_batch(d=6))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocabulary_size": 0}, "vocabulary_size must be at least 1, got 0"),
        ({"embedding_size": -1}, "embedding_size must be at least 1, got -1"),
        ({"loss": "triplet"}, "loss must be .* got 'triplet'"),
        ({"score": "min"}, "score must be .* got 'min'"),
        ({"normalisation": "l2"}, "normalisation must be .* got 'l2'"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"margin": 0.0}, "margin and scale must be above 0 and finite, got 0.0 and 30.0"),
        ({"scale": -1.0}, "margin and scale must be above 0 and finite, got 1.0 and -1.0"),
    ],
)
def test_bad_choices_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change)


# pairs


@pytest.fixture
def vocabulary(dataset):
    words = [sentence.tokens for record in dataset for sentence in record.sentences]
    return Vocabulary.from_sentences(words, minimum_count=1)


def test_every_pair_stands_in_the_data_sets_order(dataset, store, vocabulary):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pairs = Pairs(dataset, store, vocabulary)
    assert len(pairs) == 12
    assert pairs.image_ids.tolist() == [10, 11, 12, 13, 14, 15]
    assert pairs.sentence_image.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    batch = pairs.batch([7, 0, 1])
    sentences = [dataset[3].sentences[1], dataset[0].sentences[0], dataset[0].sentences[1]]
    assert batch.image_ids.tolist() == [13, 10, 10]
    for row, (record, sentence) in enumerate(zip((dataset[3], dataset[0], dataset[0]), sentences, strict=True)):
        n = int(batch.word_mask[row].sum())
        assert vocabulary.decode(batch.tokens[row, :n].tolist()) == list(sentence.tokens)
        features, mask, boxes = store.read([record.image_id])
        assert torch.equal(batch.regions[row], features[0])
        assert torch.equal(batch.region_mask[row], mask[0])
        assert torch.equal(batch.boxes[row], boxes[0])
    assert batch.word_mask.shape[1] == max(len(sentence.tokens) for sentence in sentences)


def test_indices_may_be_a_tensor_a_list_or_a_range(dataset, store, vocabulary):
    pairs = Pairs(dataset, store, vocabulary)
    for indices in (torch.tensor([1, 2]), [1, 2], range(1, 3), np.array([1, 2])):
        assert torch.equal(pairs.batch(indices).tokens, pairs.batch([1, 2]).tokens)


def test_fewer_regions_can_be_asked_for(dataset, store, vocabulary):
    whole = Pairs(dataset, store, vocabulary, regions=1).batch([0, 5])
    assert whole.regions.shape == (2, 1, 12)
    assert whole.boxes.tolist() == [[[0, 0, 1, 1]]] * 2
    everything = Pairs(dataset, store, vocabulary).batch([0, 5])
    assert torch.equal(whole.regions, everything.regions[:, :1])
    with pytest.raises(ValueError, match="regions must be at least 1"):
        Pairs(dataset, store, vocabulary, regions=0)


def test_mirrored_pictures_make_every_pair_count_twice(dataset, store, backbone, vocabulary, tmp_path):
    options = {"count": 4, "size": 64, "batch_size": 2, "progress": False}
    mirrored = extract_features(dataset, backbone, four_regions, tmp_path / "m", mirror=True, **options)
    pairs, plain = Pairs(dataset, store, vocabulary, 3, mirrored), Pairs(dataset, store, vocabulary, 3)
    other = Pairs(dataset, mirrored, vocabulary, 3)
    assert len(pairs) == 2 * len(plain) == 24
    mixed, first, second = pairs.batch([0, 13, 5, 23]), plain.batch([0, 1, 5, 11]), other.batch([0, 1, 5, 11])
    for name in ("image_ids", "tokens", "word_mask", "region_mask"):
        assert torch.equal(getattr(mixed, name), getattr(first, name))
    for name in ("regions", "boxes"):
        for row, source in enumerate((first, second, first, second)):
            assert torch.equal(getattr(mixed, name)[row], getattr(source, name)[row])
    assert not torch.equal(mixed.boxes, first.boxes)
    assert torch.equal(pairs.pictures([2])[0], plain.pictures([2])[0])
    assert torch.equal(pairs.feature_statistics()[0], plain.feature_statistics()[0])
    with pytest.raises(ValueError, match=r"is no mirrored .*: mirrored differ"):
        Pairs(dataset, store, vocabulary, mirrored=store)


def test_a_picture_that_could_not_be_read_is_left_out_with_one_warning(dataset, backbone, vocabulary, tmp_path):
    dataset[2].picture.write_bytes(b"broken")
    with pytest.warns(UserWarning, match="skipped 1 pictures"):
        store = extract_features(dataset, backbone, four_regions, tmp_path / "s", count=4, size=64, progress=False)
    with pytest.warns(UserWarning, match="left out") as caught:
        pairs = Pairs(dataset, store, vocabulary)
    assert [str(warning.message) for warning in caught] == [
        "left out 1 pictures without features (2.png) and 0 sentences without a known word"
    ]
    assert pairs.image_ids.tolist() == [10, 11, 13, 14, 15]
    assert len(pairs) == 10
    batch = pairs.batch(range(10))
    assert torch.isfinite(batch.regions).all()
    assert batch.region_mask[:, 0].all()
    with pytest.raises(StoreError, match="image id 12 could not be read"):
        store.read([12])


def test_unknown_words_are_dropped_and_sentences_of_them_counted(dataset, store):
    with pytest.warns(UserWarning, match="left out 0 pictures without features and 8 sentences without a known word"):
        pairs = Pairs(dataset, store, Vocabulary.from_sentences([["red", "dog"]], minimum_count=1))
    assert len(pairs) == 4
    assert pairs.batch(range(4)).tokens.shape == (4, 1)


def test_nothing_left_is_an_error(dataset, store):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match="six pictures: no pair of a picture with features and a sentence"):
            Pairs(dataset, store, Vocabulary.from_sentences([["zebra"]], minimum_count=1))
        strange = Record(99, "x", dataset[0].picture, "train", (Sentence("a dog", ("a", "dog")),))
        with pytest.raises(ValueError, match="no pair"):
            Pairs(Dataset(dataset.name, [strange]), store, Vocabulary.from_sentences([["dog"]], minimum_count=1))


def test_features_of_another_data_set_are_refused_even_if_the_ids_fit(dataset, store, vocabulary):
    with pytest.raises(ValueError, match="store holds features of 'six pictures', not of 'other'"):
        Pairs(Dataset("other", dataset.records), store, vocabulary)


def test_feature_statistics_are_those_of_the_real_regions(dataset, store, vocabulary):
    mean, deviation = Pairs(dataset, store, vocabulary).feature_statistics()
    real = np.array(store.features, dtype=np.float64)[np.array(store.mask)]
    np.testing.assert_allclose(mean.numpy(), real.mean(0), atol=1e-5)
    np.testing.assert_allclose(deviation.numpy(), real.std(0).clip(1e-3), atol=1e-5)
    few, _ = Pairs(dataset, store, vocabulary, regions=1).feature_statistics(sample=2)
    np.testing.assert_allclose(few.numpy(), np.array(store.features, dtype=np.float64)[[0, 5], 0].mean(0), atol=1e-5)


def test_training_on_pairs_stopped_and_resumed_equals_the_uninterrupted_run(dataset, store, vocabulary, tmp_path):
    pairs = Pairs(dataset, store, vocabulary)
    config = TrainingConfig(epochs=3, batch_size=4, learning_rate=0.01)

    def fresh():
        model = model_of(vocabulary_size=len(vocabulary), feature_size=12, dropout=0.3)
        model.standardise(*pairs.feature_statistics())
        return model

    class Killed(BaseException):
        pass

    calls = []

    def stopping(indices):
        calls.append(indices)
        if len(calls) == 6:
            raise Killed
        return pairs.batch(indices)

    straight, resumed = fresh(), fresh()
    expected = train(straight, len(pairs), pairs.batch, config, progress=False)
    with pytest.raises(Killed):
        train(fresh(), len(pairs), stopping, config, folder=tmp_path / "t", save_every=1, progress=False)
    history = train(resumed, len(pairs), pairs.batch, config, folder=tmp_path / "t", progress=False)
    assert [entry["loss"] for entry in history.epochs] == [entry["loss"] for entry in expected.epochs]
    assert all(torch.equal(resumed.state_dict()[name], tensor) for name, tensor in straight.state_dict().items())
