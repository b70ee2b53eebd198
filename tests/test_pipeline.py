"""The stages together, on a few pictures: what each hands to the next, and that model 1 really teaches model 2."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import four_regions, make_dataset

from vsa_lite.alignment.chain import best_path, relative_beta
from vsa_lite.alignment.pairs import Pairs
from vsa_lite.captioning.regions import RegionPair, RegionSnippets
from vsa_lite.data.records import Dataset, Phrase, Record, Sentence
from vsa_lite.evaluation.region_captions import region_references
from vsa_lite.pipeline import (
    embed_pictures,
    embed_sentences,
    evaluate_captions,
    evaluate_ranking,
    infer_snippets,
    known_sentences,
    perplexity,
    train_alignment,
    train_captioner,
    train_region_captioner,
    write_captions,
)
from vsa_lite.regions.features import extract_features
from vsa_lite.training import TrainingConfig
from vsa_lite.words.vocabulary import Vocabulary

SMALL = {"embedding_size": 8, "hidden_size": 6, "word_size": 5, "unit_vectors": True, "unit_sentences": True}
ALIGN = SMALL | {"loss": "contrastive", "train_words": True}
QUICK = TrainingConfig(epochs=30, batch_size=4, learning_rate=0.02, seed=1)


@pytest.fixture
def dataset(tmp_path):
    """Four pictures to train on, and the same four to choose the epoch by."""
    train = make_dataset(tmp_path / "pictures").split("train").records
    return Dataset("four pictures", [*train, *(replace(r, image_id=r.image_id + 10, split="val") for r in train)])


@pytest.fixture
def vocabulary(dataset):
    return Vocabulary.from_dataset(dataset, minimum_count=1)


@pytest.fixture
def aligned(dataset, store, vocabulary):
    return train_alignment(dataset, store, vocabulary, None, ALIGN, QUICK, progress=False)


def test_an_alignment_learns_its_pictures_and_is_the_same_from_the_same_seed(dataset, store, vocabulary, aligned):
    train = Pairs(dataset.split("train"), store, vocabulary)
    assert evaluate_ranking(aligned.model, train)["sentence_r@1"] > 50
    losses = [entry["loss"] for entry in aligned.metrics["history"]]
    assert losses[-1] < 0.5 * losses[0]
    again = train_alignment(dataset, store, vocabulary, None, ALIGN, QUICK, progress=False)
    assert [entry["loss"] for entry in again.metrics["history"]] == losses
    assert aligned.provenance["features"] == store.provenance


def test_embedding_in_blocks_changes_nothing(dataset, store, vocabulary, aligned):
    pairs = Pairs(dataset, store, vocabulary)
    for size in (1, 2, 100):
        v, mask = embed_pictures(aligned.model, pairs, size)
        torch.testing.assert_close(v, embed_pictures(aligned.model, pairs)[0])
        assert v.shape == (8, 4, 8)
        assert mask.tolist() == [[True, True, True, False]] * 8
        s, word_mask = embed_sentences(aligned.model, pairs.tokens, size)
        torch.testing.assert_close(s, embed_sentences(aligned.model, pairs.tokens)[0])
        assert word_mask.sum(1).tolist() == [len(tokens) for tokens in pairs.tokens]


def test_the_whole_picture_alone_is_one_region(dataset, store, vocabulary):
    config = TrainingConfig(epochs=1, batch_size=4)
    checkpoint = train_alignment(dataset, store, vocabulary, None, ALIGN, config, regions=1, progress=False)
    v, _ = embed_pictures(checkpoint.model, Pairs(dataset, store, vocabulary, regions=1))
    assert v.shape[1] == 1
    assert checkpoint.provenance["regions"] == 1


def test_snippets_are_the_runs_of_the_best_path(dataset, store, vocabulary, aligned):
    pairs = Pairs(dataset, store, vocabulary)
    expected = []
    for number in range(len(pairs)):
        batch = pairs.batch([number])
        u = aligned.model.products(batch)
        path, _ = best_path(
            u, batch.word_mask, batch.region_mask, relative_beta(u, batch.word_mask, batch.region_mask, 0.5)
        )
        runs = []
        for region, word in zip(path[0].tolist(), batch.tokens[0].tolist(), strict=True):
            if not runs or runs[-1][0] != region:
                runs.append((region, []))
            runs[-1][1].append(word)
        expected += [RegionPair(int(batch.image_ids[0]), r, tuple(words)) for r, words in runs if len(words) >= 2]
    for size in (3, 100):
        assert infer_snippets(aligned.model, pairs, 0.5, size) == expected
    assert all(pair.region < 3 for pair in expected), "a padded region has no words"


def test_region_snippets_give_the_region_that_they_name(store):
    pairs = [RegionPair(12, 2, (3, 4)), RegionPair(10, 0, (1,)), RegionPair(12, 1, (5, 6, 7))]
    snippets = RegionSnippets(pairs, store)
    batch = snippets.batch([2, 0])
    features, _, boxes = store.read([12])
    torch.testing.assert_close(batch.regions[:, 0], features[0, [1, 2]])
    torch.testing.assert_close(batch.boxes[:, 0], boxes[0, [1, 2]])
    assert batch.tokens.tolist() == [[5, 6, 7], [3, 4, 0]]
    assert batch.word_mask.tolist() == [[True] * 3, [True, True, False]]
    torch.testing.assert_close(
        snippets.features(), torch.stack([features[0, 2], store.read([10])[0][0, 0], features[0, 1]])
    )


def test_region_snippets_refuse_what_the_store_lacks(store):
    with pytest.raises(ValueError, match=r"no \(region, snippet\) pair"):
        RegionSnippets([], store)
    for region in (3, 4):  # padding, and none at all
        with pytest.raises(ValueError, match="it is of another store"):
            RegionSnippets([RegionPair(10, region, (1, 2))], store)


def test_captioners_learn_whole_pictures_and_regions(dataset, store, vocabulary, aligned):
    config = TrainingConfig(epochs=60, batch_size=4, learning_rate=5e-3, optimiser="rmsprop")
    model = {"hidden_size": 16, "dropout": 0.0}
    whole = train_captioner(dataset, store, vocabulary, model, config, progress=False)
    train = Pairs(dataset.split("train"), store, vocabulary, regions=1)
    assert perplexity(whole.model, train) < 4
    features = train.pictures(range(4))[0][:, 0]
    for beam in (1, 3):
        written = write_captions(whole.model, vocabulary, features, beam, batch_size=3)
        assert written == write_captions(whole.model, vocabulary, features, beam)
        said = [[sentence.tokens for sentence in record.sentences] for record in train.records]
        assert sum(tuple(words) in of_picture for words, of_picture in zip(written, said, strict=True)) >= 3
    seen = known_sentences(dataset.split("train"), vocabulary)
    assert evaluate_captions(whole.model, train, 1, seen)["novel_share"] <= 25

    found = infer_snippets(aligned.model, Pairs(dataset.split("train"), store, vocabulary), 0.5)
    snippets = RegionSnippets(found, store)
    region_model = train_region_captioner(
        snippets, snippets, vocabulary, model, config, dataset_name=dataset.name, progress=False
    )
    assert perplexity(region_model.model, snippets) < 0.75 * perplexity(whole.model, snippets)
    assert region_model.provenance["trained_on"].startswith("regions")


def test_perplexity_is_exp_of_the_mean_over_all_words(dataset, store, vocabulary):
    config = TrainingConfig(epochs=1, batch_size=4)
    model = train_captioner(
        dataset, store, vocabulary, {"hidden_size": 4, "dropout": 0.5}, config, progress=False
    ).model
    pairs = Pairs(dataset, store, vocabulary, regions=1)
    total, words = 0.0, 0
    with torch.no_grad():
        for number in range(len(pairs)):
            batch = pairs.batch([number])
            n = batch.tokens.shape[1] + 1
            total, words = total + n * float(model.loss(batch)), words + n
    for size in (1, 5, 100):
        assert perplexity(model, pairs, size) == pytest.approx(math.exp(total / words), rel=1e-5)
    assert not model.training


def test_references_of_regions(tmp_path, dataset, backbone):
    quarter, small = [0.5, 0.25, 1, 1], [0.0, 0.9, 0.05, 1]
    first = dataset.records[0]
    tokens = tuple("a red ball near the small dog".split())
    sentence = Sentence(" ".join(tokens), tokens, (Phrase(0, 3, (0,)), Phrase(4, 7, (0, 1)), Phrase(6, 7, (2,))))
    boxes = np.array([quarter, [0, 0, 0.5, 0.45], small], dtype=np.float32)
    record = Record(10, first.name, first.picture, "train", (sentence,), boxes, ("ball", "dog", "fly"))
    told = Dataset("told", [record, dataset.records[1]])
    store = extract_features(told, backbone, four_regions, tmp_path / "s", count=4, size=64, progress=False)
    truth = region_references(told, store)
    assert truth.regions.tolist() == [2, 1]
    assert truth.references == [[("a", "red", "ball"), ("the", "small", "dog")], [("the", "small", "dog")]]
    assert truth.without_region == 1
    torch.testing.assert_close(truth.features, store.read([10])[0][0, [2, 1]])
    with pytest.raises(ValueError, match=r"no thing with a phrase and a region of IoU 0\.5"):
        region_references(Dataset("told", [dataset.records[1]]), store)
