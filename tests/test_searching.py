"""Searching pictures: exact search is the plain ranking, candidates miss little, an index goes on and names faults."""

import json
import sys

import numpy as np
import pytest
import torch
from conftest import seeded

from vsa_lite.alignment.model import AlignmentConfig, AlignmentModel
from vsa_lite.evaluation.ranking import score_all
from vsa_lite.regions.store import FeatureStore, StoreError, StoreWriter
from vsa_lite.searching import building
from vsa_lite.searching import index as index_module
from vsa_lite.searching.building import (
    build_candidates,
    build_index,
    embed_sample,
    finish_index,
    learn_codewords,
    mean_regions,
    random_sentences,
)
from vsa_lite.searching.index import IndexFolderError, PictureIndex
from vsa_lite.words.vocabulary import Vocabulary

pytest.importorskip("faiss", reason="needs pip install 'vsa-lite[scale]'")

IMAGES, REGIONS, D, H = 60, 4, 7, 6
SENTENCES = [[1, 2, 3, 4, 5], [6, 7, 8], [8, 1, 4, 2], [3, 5, 1]]


def make_store(path, images=IMAGES, failed=(3,), seed=0, **provenance):
    """Random features; every picture with one to four regions, some could not be read."""
    rng = np.random.default_rng(seed)
    mask = np.arange(REGIONS) < rng.integers(1, REGIONS + 1, (images, 1))
    features = rng.normal(size=(images, REGIONS, D)).astype(np.float32) * mask[..., None]
    boxes = np.tile(np.array([0, 0, 1, 1], dtype=np.float32), (images, REGIONS, 1))
    ids = 100 + np.arange(images)[::-1]
    writer = StoreWriter(path, ids, REGIONS, D, {"backbone": "a", "dataset": "b", **provenance})
    good = [row for row in range(images) if row not in failed]
    writer.write(good, features[good], boxes[good], mask[good])
    for row in failed:
        writer.fail(row, str(row), "torn")
    return writer.close()


def make_model(seed=0, **settings):
    config = AlignmentConfig(
        vocabulary_size=9, feature_size=D, embedding_size=H, hidden_size=8, word_size=5, **settings
    )
    return seeded(lambda: AlignmentModel(config), seed)


def build(model, store, path, kind="codewords8", **options):
    return build_index(model, store, path, SENTENCES, kind=kind, progress=False, **options)


def finish(path, h, kind, **options):
    """Vectors in a folder made into an index; codewords from random directions."""
    words = torch.randn(2000, h, generator=torch.Generator().manual_seed(9))
    return finish_index(path, words, kind=kind, progress=False, **options)


def make_words(sentences=5, seed=0, h=H):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.arange(4) < torch.randint(1, 5, (sentences, 1), generator=generator)
    return torch.randn(sentences, 4, h, generator=generator) * mask[..., None], mask


def plain_ranking(index, words, mask, k):
    """The k best pictures from the matrix of all scores, of v as it is stored."""
    store = index.vectors
    v, region_mask = torch.from_numpy(store.features.astype(np.float32)), torch.from_numpy(np.array(store.mask))
    scores = score_all(v, region_mask, words, mask, index.about["score"], index.about["normalisation"]).T
    order = scores.argsort(dim=1, descending=True, stable=True)[:, :k]
    return torch.from_numpy(store.image_ids[order.numpy()]), scores.gather(1, order)


def write_vectors(path, v, mask=None):
    """An index's vectors from a tensor."""
    n, regions, h = v.shape
    writer = StoreWriter(path / "vectors", range(n), regions, h, {})
    mask = np.ones((n, regions), dtype=bool) if mask is None else mask
    writer.write(range(n), v, np.zeros((n, regions, 4), dtype=np.float32), mask)
    writer.close()


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "features")


@pytest.fixture
def pictures(tmp_path, store):
    return build(make_model(), store, tmp_path / "index")


@pytest.mark.parametrize(
    "settings", [{}, {"score": "sum"}, {"normalisation": "smooth"}, {"unit_vectors": True}], ids=str
)
def test_exact_search_is_the_ranking_of_all_scores(tmp_path, store, settings, monkeypatch):
    monkeypatch.setattr(index_module, "BLOCK", 7 * REGIONS * H)  # blocks of seven pictures; the last one is shorter
    index = build(make_model(**settings), store, tmp_path / "index")
    words, mask = make_words()
    for k in (1, 5, 200):
        ids, scores = index.search(words, mask, k, exact=True)
        expected_ids, expected = plain_ranking(index, words, mask, k)
        torch.testing.assert_close(scores, expected)
        assert torch.equal(ids, expected_ids)
    assert ids.shape[1] == len(index) == IMAGES - 1
    assert 100 + IMAGES - 1 - 3 not in ids  # the picture that could not be read


def test_vectors_are_those_of_the_model_and_boxes_go_with_them(store, pictures):
    features, mask, boxes = store.read(pictures.vectors.image_ids)
    with torch.inference_mode():
        v = make_model().embed_regions(features, mask)
    stored = pictures.vectors.read(pictures.vectors.image_ids)
    torch.testing.assert_close(stored[0], v, atol=2e-3, rtol=2e-3)
    assert torch.equal(stored[1], mask)
    assert torch.equal(stored[2], boxes)


def test_all_candidates_are_the_exact_search_and_fewer_give_the_same_scores(pictures):
    words, mask = make_words()
    exact_ids, exact_scores = pictures.search(words, mask, 5, exact=True)
    ids, scores = pictures.search(words, mask, 5, candidates=len(pictures))
    assert torch.equal(ids, exact_ids)
    assert torch.equal(scores, exact_scores)
    every_score = dict(
        zip(*(part[0].tolist() for part in pictures.search(words[:1], mask[:1], 99, exact=True)), strict=True)
    )
    ids, scores = pictures.search(words[:1], mask[:1], 5, candidates=12)
    assert scores[0].tolist() == pytest.approx([every_score[i] for i in ids[0].tolist()], abs=1e-5)
    assert scores[0].tolist() == sorted(scores[0].tolist(), reverse=True)


def real_vectors(index):
    store = index.vectors
    return torch.from_numpy(store.features.astype(np.float32)), torch.from_numpy(np.array(store.mask))


def test_candidates_of_faiss_are_the_pictures_whose_mean_region_fits_best(tmp_path, store):
    pictures = build(make_model(), store, tmp_path / "index", kind="Flat")
    words, mask = make_words()
    v, region_mask = real_vectors(pictures)
    means = torch.stack([v[n, region_mask[n]].mean(0) for n in range(len(v))])
    torch.testing.assert_close(mean_regions(v, region_mask), means)
    products = torch.stack([sentence[real].sum(0) for sentence, real in zip(words, mask, strict=True)]) @ means.T
    near = pictures.near(words, mask, 8)
    assert np.array_equal(near, products.argsort(dim=1, descending=True)[:, :8].numpy())


@pytest.mark.parametrize("score", ["max", "sum"])
def test_the_estimate_is_the_score_of_each_words_share_of_its_codeword(tmp_path, store, score):
    index = build(make_model(score=score), store, tmp_path / "index")
    words, mask = make_words(3)
    v, region_mask = real_vectors(index)
    directions = index.codewords[0]
    torch.testing.assert_close(directions.norm(dim=1), torch.ones(8))
    for sentence, real in zip(words, mask, strict=True):
        expected = torch.zeros(len(v))
        for word in sentence[real]:
            share = max(float(word @ u) for u in directions)
            nearest = max(directions, key=lambda u: float(word @ u))
            for n in range(len(v)):
                products = [float(region @ nearest) for region in v[n, region_mask[n]]]
                expected[n] += share * (max(products) if score == "max" else sum(max(0, x) for x in products))
        torch.testing.assert_close(index.estimate(sentence[real]), expected, atol=5e-3, rtol=5e-3)


def test_a_sentence_of_codewords_alone_is_estimated_exactly(tmp_path, store):
    index = build(make_model(), store, tmp_path / "index")
    words, mask = 3 * index.codewords[0][None, [1, 4, 6]], torch.ones(1, 3, dtype=torch.bool)
    exact, found = (index.search(words, mask, 5, **options) for options in ({"exact": True}, {"candidates": 6}))
    assert torch.equal(exact[0], found[0])


def test_codewords_are_directions_of_words(tmp_path):
    generator = torch.Generator().manual_seed(0)
    centres = torch.eye(5)[:3]
    words = (centres.repeat(40, 1) + 0.05 * torch.randn(120, 5, generator=generator)) * torch.rand(120, 1) * 9
    words[7] = 0  # has no direction
    found = learn_codewords(words, 3)
    order = (found @ centres.T).argmax(0)
    torch.testing.assert_close(found[order], centres, atol=0.05, rtol=0)
    for count in (0, 120):
        with pytest.raises(ValueError, match=f"codewords must be 1 to .*, 119, got {count}"):
            learn_codewords(words, count)


def test_random_sentences_have_the_words_of_the_model_as_often_as_they_occur():
    vocabulary = Vocabulary(["often", "never", "rare"], [100, 80, 0, 20])
    sentences = random_sentences(vocabulary, 400, seed=1)
    assert sentences == random_sentences(vocabulary, 400, seed=1) != random_sentences(vocabulary, 400, seed=2)
    assert {len(sentence) for sentence in sentences} == set(range(4, 16))
    shares = np.bincount(sum(sentences, start=[]), minlength=4) / sum(map(len, sentences))  # noqa: RUF017
    np.testing.assert_allclose(shares, [0, 0.8, 0, 0.2], atol=0.03)
    model = make_model()
    words = embed_sample(model, SENTENCES[:2])
    tokens = torch.tensor([SENTENCES[1]])
    with torch.inference_mode():
        torch.testing.assert_close(words[5:], model.embed_words(tokens, tokens > 0)[0])


def test_equal_scores_stand_in_the_order_of_the_index(tmp_path, monkeypatch):
    monkeypatch.setattr(index_module, "BLOCK", 1)
    write_vectors(tmp_path, np.ones((40, 2, 3), dtype=np.float32))
    index = finish(tmp_path, 3, "Flat")
    words, mask = make_words(2, h=3)
    for options in ({"exact": True}, {"candidates": 40}):
        assert index.search(words, mask, 5, **options)[0].tolist() == [[0, 1, 2, 3, 4]] * 2


@pytest.mark.parametrize("kind", ["codewords64", "Flat", "IVF32,SQfp16", "IVF32,PQ8x4"])
def test_few_candidates_find_nearly_all(tmp_path, kind):
    rng = np.random.default_rng(0)
    picture, h = rng.normal(size=(3000, 1, 16)), 16
    v = picture + 0.7 * rng.normal(size=(3000, 5, h))  # regions of one picture have much in common
    write_vectors(tmp_path, v / np.linalg.norm(v, axis=-1, keepdims=True))
    # words of a vocabulary of 40, each a little changed by its sentence
    vocabulary = rng.normal(size=(40, h))
    words = torch.from_numpy(vocabulary[rng.integers(40, size=(440, 4))] + 0.2 * rng.normal(size=(440, 4, h))).float()
    sample, words, mask = words[40:].flatten(0, 1), words[:40], torch.ones(40, 4, dtype=torch.bool)
    index = finish_index(tmp_path, sample, kind=kind, probes=16, progress=False)
    exact, found = (index.search(words, mask, 10, **options)[0] for options in ({"exact": True}, {"candidates": 300}))
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact.tolist(), found.tolist(), strict=True)])
    assert recall > 0.9
    # it must be the candidates that do it: as few as are asked for lose some
    fewest = index.search(words, mask, 10, candidates=10)[0]
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact.tolist(), fewest.tolist(), strict=True)]) < recall


def test_where_lists_hold_too_few_everything_is_scored(tmp_path):
    v = np.random.default_rng(0).normal(size=(500, 2, 4))
    write_vectors(tmp_path, v)
    index = finish(tmp_path, 4, "IVF64,Flat", probes=1)
    words, mask = make_words(3, h=4)
    k = 90  # more than a list has
    assert torch.equal(index.search(words, mask, k, candidates=100)[0], index.search(words, mask, k, exact=True)[0])


def test_building_goes_on_where_it_was_stopped(tmp_path, store, pictures, monkeypatch):
    calls, write = [], StoreWriter.write

    def stopping(self, rows, *arrays):
        if len(calls) == 3:
            raise KeyboardInterrupt
        calls.append(list(rows))
        write(self, rows, *arrays)

    monkeypatch.setattr(StoreWriter, "write", stopping)
    with pytest.raises(KeyboardInterrupt):
        build(make_model(), store, tmp_path / "again", batch_size=10)
    with pytest.raises(IndexFolderError, match="unfinished: index again, it goes on"):
        PictureIndex(tmp_path / "again")
    calls.append([])  # so that it does not stop again
    again = build(make_model(), store, tmp_path / "again", batch_size=10)
    written = [row for rows in calls for row in rows]
    assert len(written) == len(set(written)) == len(again) == IMAGES - 1
    words, mask = make_words()
    for options in ({"exact": True}, {"candidates": 20}):
        assert torch.equal(again.search(words, mask, 5, **options)[0], pictures.search(words, mask, 5, **options)[0])


@pytest.mark.parametrize("kind", ["codewords8", "Flat"])
def test_stopped_among_candidates_nothing_half_written_is_opened(tmp_path, store, kind, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(building, "score_all" if kind == "codewords8" else "mean_regions", stop)
        with pytest.raises(KeyboardInterrupt):
            build(make_model(), store, tmp_path / "index", kind)
    with pytest.raises(IndexFolderError, match="unfinished"):
        PictureIndex(tmp_path / "index")
    before = (tmp_path / "index" / "vectors" / "features.npy").stat().st_mtime_ns
    assert len(build(make_model(), store, tmp_path / "index", kind)) == IMAGES - 1
    assert (tmp_path / "index" / "vectors" / "features.npy").stat().st_mtime_ns == before
    assert not list((tmp_path / "index").glob("*.part"))


def test_what_is_finished_is_left_as_it_is(tmp_path, store, pictures):
    file = tmp_path / "index" / "products.npy"
    before = file.stat().st_mtime_ns
    build(make_model(), store, tmp_path / "index")
    assert file.stat().st_mtime_ns == before
    other = build(make_model(), store, tmp_path / "index", kind="IVF2,Flat", probes=2)
    assert (other.faiss_index.nlist, other.faiss_index.nprobe) == (2, 2)
    with pytest.raises(ValueError, match="no candidates' index 'Magic7' of 59 pictures: could not parse index string"):
        build(make_model(), store, tmp_path / "index", kind="Magic7")
    assert PictureIndex(tmp_path / "index").about == other.about  # a slip spoils nothing
    with pytest.raises(IndexFolderError, match=r"already holds features made from something else \(model differ"):
        build(make_model(seed=1), store, tmp_path / "index")
    build(make_model(seed=1), store, tmp_path / "index", restart=True)


def test_regions_are_used_as_in_training(tmp_path, store):
    index = build(make_model(), store, tmp_path / "index", regions=2)
    assert index.vectors.features.shape == (IMAGES - 1, 2, H)


def test_candidates_of_one_seed_are_always_the_same(tmp_path):
    import faiss

    rng = np.random.default_rng(0)
    write_vectors(tmp_path, rng.normal(size=(400, 2, 4)))
    vectors = FeatureStore(tmp_path / "vectors")
    made = [build_candidates(vectors, "IVF4,Flat", seed=3, progress=False) for _ in range(2)]
    assert np.array_equal(*(faiss.serialize_index(index) for index in made))


def test_bad_input_to_a_search_is_named(pictures):
    words, mask = make_words()
    for arguments, options, message in (
        ((words, mask), {"k": 0}, "k must be at least 1, got 0"),
        ((words, mask), {"k": 9, "candidates": 8}, "candidates must be at least k, 9, got 8"),
        (make_words(h=5), {}, "words have size 5, vectors of .* size 6"),
        ((words, mask & False), {}, "at least one word in each sentence"),
    ):
        with pytest.raises(ValueError, match=message):
            pictures.search(*arguments, **options)


def test_bad_input_to_building_is_named(tmp_path, store):
    for options, message in (
        ({"regions": 0}, "regions must be at least 1, got 0"),
        ({"probes": 0}, "probes must be at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"kind": "Magic7"}, "no candidates' index 'Magic7'"),
        ({"kind": "codewords0"}, "codewords must be 1 to the number of words to learn from, 15, got 0"),
        ({"kind": "codewords16"}, "codewords must be 1 to the number of words to learn from, 15, got 16"),
        ({"kind": "IVF500,Flat"}, "no candidates' index 'IVF500,Flat' of 59 pictures"),
    ):
        with pytest.raises(ValueError, match=message):
            build(make_model(), store, tmp_path / "index", **options)
    assert not (tmp_path / "index" / "index.json").exists()
    nothing = make_store(tmp_path / "nothing", 2, failed=(0, 1))
    with pytest.raises(ValueError, match="no picture that could be read"):
        build(make_model(), nothing, tmp_path / "other")
    with pytest.raises(StoreError, match="no feature store at"):
        finish(tmp_path / "gone", 3, "Flat")


def test_a_damaged_index_is_named(tmp_path, pictures):
    folder, words = tmp_path / "index", make_words()
    about = folder / "index.json"
    good = about.read_text()
    with pytest.raises(IndexFolderError, match="is not there; `vsa-lite index` makes one"):
        PictureIndex(tmp_path / "gone")
    for text, message in (
        ("{", "is damaged: index again"),
        ("[]", "is not of the format"),
        (json.dumps(json.loads(good) | {"pictures": 7}), "vectors of 59 pictures, not 7"),
    ):
        about.write_text(text)
        with pytest.raises(IndexFolderError, match=message):
            PictureIndex(folder)
    about.write_text(good)
    for name in ("products", "codewords"):
        path = folder / f"{name}.npy"
        content = path.read_bytes()
        path.write_bytes(content[:50])
        with pytest.raises(IndexFolderError, match=rf"{name}.npy is missing or damaged: index again, with restart"):
            PictureIndex(folder).search(*words, candidates=10)
        path.write_bytes(content)
    about.write_text(json.dumps(json.loads(good) | {"codewords": 9}))
    with pytest.raises(IndexFolderError, match=r"codewords.npy is float32 \(8, 6\), not float32 \(9, 6\)"):
        PictureIndex(folder).search(*words, candidates=10)
    (folder / "products.npy").unlink()
    assert PictureIndex(folder).search(*words, exact=True)[0].shape == (5, 10)  # needs no candidates


def test_a_damaged_index_of_faiss_is_named(tmp_path, store):
    folder, words = tmp_path / "index", make_words()
    build(make_model(), store, folder, kind="Flat")
    path = folder / "candidates.faiss"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(IndexFolderError, match=r"candidates.faiss is missing or damaged: index again, with restart"):
        PictureIndex(folder).search(*words, candidates=10)
    write_vectors(tmp_path / "small", np.ones((5, 2, H)))
    finish(tmp_path / "small", H, "Flat")
    path.write_bytes((tmp_path / "small" / "candidates.faiss").read_bytes())
    with pytest.raises(IndexFolderError, match="holds 5 vectors of size 6, not 59"):
        PictureIndex(folder).search(*words, candidates=10)


def test_without_faiss_an_index_of_codewords_is_searched_and_the_rest_says_what_to_install(
    tmp_path, store, pictures, monkeypatch
):
    other = build(make_model(), store, tmp_path / "other", kind="Flat")
    monkeypatch.setitem(sys.modules, "faiss", None)
    words = make_words()
    assert PictureIndex(tmp_path / "index").search(*words, 3, candidates=10)[0].shape == (5, 3)
    assert other.search(*words, 3, exact=True)[0].shape == (5, 3)
    for work in (
        lambda: other.search(*words, 3, candidates=10),
        lambda: build(make_model(), store, tmp_path / "new"),
    ):
        with pytest.raises(ImportError, match=r"pip install 'vsa-lite\[scale\]'"):
            work()
    assert not (tmp_path / "new").exists()
