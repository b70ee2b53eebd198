"""The search benchmark: generated pictures are like the real ones, always the same, and everything is recorded."""

import sys

import numpy as np
import pytest
import torch
from conftest import four_regions, make_backbone, make_dataset

from vsa_lite.regions.features import extract_features
from vsa_lite.regions.store import FeatureStore
from vsa_lite.results import load_runs

pytest.importorskip("faiss", reason="needs pip install 'vsa-lite[scale]'")
search = pytest.importorskip("benchmarks.search", reason="runs in the repository alone")
search_data = pytest.importorskip("benchmarks.search_data")


def like(images=400, regions=3, h=8, seed=0):
    """Statistics of pictures whose regions share half their variance, with a mean of their own; some are masked."""
    generator = torch.Generator().manual_seed(seed)
    shared, own = (torch.randn(h, h, generator=generator) / h**0.5 for _ in range(2))
    draw = torch.randn(images, 1, h, generator=generator) @ shared.T
    draw = draw + torch.randn(images, regions, h, generator=generator) @ own.T
    mean = torch.randn(regions, h, generator=generator)
    mask = torch.ones(images, regions, dtype=torch.bool)
    mask[::5, -1] = False
    v = (draw + mean) * mask[..., None]
    words = torch.randn(6, 4, h, generator=generator)
    return search_data.Statistics(v, mask, words, torch.ones(6, 4, dtype=torch.bool), mean, shared, own, {})


def test_a_block_depends_on_the_seed_and_its_number_alone():
    first, again, other, next_block = (
        search_data.draw(like(), *which)[0] for which in ((1, 2), (1, 2), (2, 2), (1, 3))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, next_block)


def test_generated_pictures_have_the_statistics_of_the_real(monkeypatch):
    statistics = like(20_000)
    monkeypatch.setattr(search_data, "BLOCK", 20_000)
    v, mask = search_data.draw(statistics, 0, 0)
    assert (v[~mask] == 0).all()
    full, real = v[mask.all(1)], statistics.v[statistics.mask.all(1)]
    torch.testing.assert_close(full.norm(dim=-1).mean(0), real.norm(dim=-1).mean(0), atol=0.05, rtol=0.05)
    y, y_real = full - full.mean(0), real - real.mean(0)
    for a in range(3):
        for b in range(3):
            between, wanted = y[:, a].T @ y[:, b] / len(y), y_real[:, a].T @ y_real[:, b] / len(y_real)
            assert torch.nn.functional.cosine_similarity(between.flatten(), wanted.flatten(), dim=0) > 0.95
            assert 0.8 < between.norm() / wanted.norm() < 1.25


def test_as_many_as_are_wanted_are_written_and_fewer_are_the_first_of_more(tmp_path, monkeypatch):
    monkeypatch.setattr(search_data, "BLOCK", 40)
    for pictures in (50, 100):
        search_data.write_pictures(like(), tmp_path / str(pictures), pictures, seed=3)
    few, many = (FeatureStore(tmp_path / str(pictures) / "vectors") for pictures in (50, 100))
    assert np.array_equal(few.features, many.features[:50])
    assert np.array_equal(few.mask, many.mask[:50])


def test_more_codes_lose_less():
    x = torch.randn(1000, 8, generator=torch.Generator().manual_seed(0))
    lost = []
    for codes in (1, 2, 4):
        parts = x.view(1000, codes, -1).transpose(0, 1)
        books = search.learn_codes(parts, torch.Generator().manual_seed(0))
        nearest = search.nearest_codes(parts, books)
        brute = torch.stack([torch.cdist(part, book).argmin(1) for part, book in zip(parts, books, strict=True)])
        assert torch.equal(nearest, brute)
        lost.append(float((books.gather(1, nearest[..., None].expand_as(parts)) - parts).pow(2).mean()))
    assert lost[0] > 2 * lost[1] > 4 * lost[2]


def test_an_error_in_the_axes_of_products_is_that_of_the_products():
    generator = torch.Generator().manual_seed(0)
    v, words = torch.randn(500, 6, generator=generator), torch.randn(400, 6, generator=generator) * torch.arange(1, 7)
    there, back = search.axes_of_products(v, words)
    torch.testing.assert_close(there @ back, torch.eye(6), atol=1e-4, rtol=0)
    error = 0.1 * torch.randn(6, generator=generator)
    torch.testing.assert_close((error @ there).pow(2).sum(), (words @ error).pow(2).mean())
    turned = (v @ there).T @ (v @ there)
    assert (turned - turned.diag().diag()).abs().max() < 1e-3 * turned.max()


def test_it_runs_and_records(tmp_path, monkeypatch):
    from vsa_lite.checkpoints import save_checkpoint
    from vsa_lite.pipeline import train_alignment
    from vsa_lite.training import TrainingConfig
    from vsa_lite.words.vocabulary import Vocabulary

    dataset = make_dataset(tmp_path / "pictures")
    store = extract_features(
        dataset, make_backbone(), four_regions, tmp_path / "store", count=4, size=64, batch_size=2, progress=False
    )
    model, training = {"embedding_size": 16, "hidden_size": 8, "word_size": 6}, TrainingConfig(epochs=1, batch_size=4)
    vocabulary = Vocabulary.from_dataset(dataset, 1)
    checkpoint = train_alignment(dataset, store, vocabulary, None, model, training, progress=False)
    save_checkpoint(tmp_path / "a.safetensors", checkpoint)
    monkeypatch.setattr(search_data, "load_data", lambda text: dataset)
    monkeypatch.setattr(search, "RESULTS", tmp_path / "search.json")
    command = ["search", "--like", str(tmp_path / "a.safetensors"), str(tmp_path / "store"), "--data", "six"]
    command += [
        "--pictures",
        "300",
        "--out",
        str(tmp_path / "out"),
        "--kind",
        "codewords4",
        "--candidates",
        "20",
        "299",
    ]
    command += ["--faiss", "300", "--faiss-kinds", "IVF8,Flat", "--faiss-candidates", "50", "--probes", "2"]
    command += ["--compress", "300", "--codes", "2", "4", "--threads", str(torch.get_num_threads())]
    monkeypatch.setattr(sys, "argv", command)
    search.main()
    runs = {run["what"]: run["metrics"] for run in load_runs(tmp_path / "search.json")}
    assert len(runs) == 5
    assert runs["codewords4, 299 candidates, 300 pictures"]["recall_at_10"] > 99
    assert runs["codewords4, 20 candidates, 300 pictures"]["speed_up"] > 0
    assert 0 < runs["FAISS IVF8,Flat of the mean region, 50 candidates, 300 pictures"]["recall_at_10"] <= 100
    assert runs["product quantisation, 4 bytes a region"]["times_smaller"] == 8
    assert not (tmp_path / "out" / "300").exists()
    assert (tmp_path / "out" / "statistics.npz").exists()
