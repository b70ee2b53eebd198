"""Ranks in blocks against a naive full matrix, pessimistic ties, and models that must come first and last."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vsa_lite.alignment.scores import alignment_scores, packed_scores
from vsa_lite.evaluation import ranking
from vsa_lite.evaluation.ranking import rank, rank_scores, score_all, summarise_ranks


def naive_ranks(scores, sentence_image):
    """1 + how many wrong items are at least as good as the best true one, from the whole matrix."""
    owner, S = sentence_image.tolist(), scores.tolist()
    of_images, of_sentences = [], []
    for k, row in enumerate(S):
        best = max(score for l, score in enumerate(row) if owner[l] == k)  # noqa: E741
        of_images.append(1 + sum(score >= best for l, score in enumerate(row) if owner[l] != k))  # noqa: E741
    for l, k in enumerate(owner):  # noqa: E741
        of_sentences.append(1 + sum(S[other][l] >= S[k][l] for other in range(len(S)) if other != k))
    return of_images, of_sentences


def naive_summary(ranks, prefix):
    ordered, n = sorted(ranks), len(ranks)
    recalls = {f"{prefix}_r@{k}": 100 * sum(r <= k for r in ranks) / n for k in (1, 5, 10)}
    return recalls | {f"{prefix}_median_rank": (ordered[(n - 1) // 2] + ordered[n // 2]) / 2}


def owners(images, sentences, generator):
    """A picture for each sentence, in any order; each picture has one at least."""
    more = torch.randint(images, (sentences - images,), generator=generator)
    return torch.cat([torch.arange(images), more])[torch.randperm(sentences, generator=generator)]


def embedded(images=9, sentences=31, regions=4, words=6, h=5, seed=0, right_padded=True):
    generator = torch.Generator().manual_seed(seed)
    v = torch.randn(images, regions, h, generator=generator, dtype=torch.float64)
    s = torch.randn(sentences, words, h, generator=generator, dtype=torch.float64)
    region_mask = torch.arange(regions) < torch.randint(1, regions + 1, (images, 1), generator=generator)
    if right_padded:
        word_mask = torch.arange(words) < torch.randint(1, words + 1, (sentences, 1), generator=generator)
    else:
        word_mask = torch.rand(sentences, words, generator=generator) < 0.4
        word_mask[torch.arange(sentences), torch.randint(words, (sentences,), generator=generator)] = True
    return v, region_mask, s, word_mask, owners(images, sentences, generator)


# ranks


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 7), st.integers(0, 20), st.integers(1, 4), st.sampled_from([1, 40, 10**6]))
def test_ranks_equal_the_naive_full_matrix(seed, images, more, levels, block):
    generator = torch.Generator().manual_seed(seed)
    sentences = images + more
    scores = torch.randint(levels, (images, sentences), generator=generator).float()  # ties everywhere
    sentence_image = owners(images, sentences, generator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "BLOCK", block)
        of_images, of_sentences = rank_scores(scores, sentence_image)
    assert (of_images.tolist(), of_sentences.tolist()) == naive_ranks(scores, sentence_image)


def test_by_hand():
    scores = torch.tensor([[0.9, 0.2, 0.8, 0.1], [0.5, 0.6, 0.9, 0.3]])
    of_images, of_sentences = rank_scores(scores, torch.tensor([0, 0, 1, 1]))
    assert of_images.tolist() == [1, 1]  # the closest of two true ones counts
    assert of_sentences.tolist() == [1, 2, 1, 1]
    of_images, _ = rank_scores(scores, torch.tensor([1, 0, 0, 1]))
    assert of_images.tolist() == [2, 3]


def test_ties_stand_before_the_true_item_but_true_items_do_not():
    sentence_image = torch.tensor([0, 0, 0, 1])
    of_images, of_sentences = rank_scores(torch.zeros(2, 4), sentence_image)
    assert of_images.tolist() == [2, 4]  # one wrong sentence; three wrong ones
    assert of_sentences.tolist() == [2, 2, 2, 2]


def test_a_model_that_gives_everything_the_same_score_comes_last():
    sentence_image = torch.arange(20).repeat_interleave(5)
    of_images, of_sentences = rank_scores(torch.full((20, 100), 3.0), sentence_image)
    assert set(of_images.tolist()) == {96}  # of 95 wrong sentences and its own five
    assert set(of_sentences.tolist()) == {20}
    v, s, real = torch.zeros(20, 3, 4), torch.zeros(100, 6, 4), torch.ones(100, 6, dtype=torch.bool)
    metrics = rank(v, real[:20, :3], s, real, sentence_image)
    assert metrics["sentence_r@10"] == metrics["image_r@10"] == 0
    assert (metrics["sentence_median_rank"], metrics["image_median_rank"]) == (96, 20)


def test_the_true_matrix_comes_first():
    sentence_image = torch.arange(20).repeat_interleave(5)
    scores = (sentence_image == torch.arange(20)[:, None]).float()
    of_images, of_sentences = rank_scores(scores, sentence_image)
    assert set(of_images.tolist()) == set(of_sentences.tolist()) == {1}
    of_images, of_sentences = rank_scores(-scores, sentence_image)
    assert set(of_images.tolist()) == {96}
    assert set(of_sentences.tolist()) == {20}


def test_one_sentence_of_two_pictures_is_a_tie():
    v, region_mask, s, word_mask, _ = embedded(2, 2)
    s[1], word_mask[1] = s[0], word_mask[0]
    scores = score_all(v, region_mask, s, word_mask)
    of_images, of_sentences = rank_scores(scores, torch.tensor([0, 1]))
    assert of_images.tolist() == [2, 2], "it is not known which of them is meant"
    assert sorted(of_sentences.tolist()) == [1, 2]


def test_the_order_of_pictures_and_sentences_does_not_matter():
    generator = torch.Generator().manual_seed(1)
    scores, sentence_image = torch.randint(5, (8, 30), generator=generator).float(), owners(8, 30, generator)
    of_images, of_sentences = rank_scores(scores, sentence_image)
    rows, columns = torch.randperm(8, generator=generator), torch.randperm(30, generator=generator)
    turned = rank_scores(scores[rows][:, columns], rows.argsort()[sentence_image[columns]])
    assert torch.equal(turned[0], of_images[rows])
    assert torch.equal(turned[1], of_sentences[columns])


def test_more_items_to_search_never_improve_a_rank():
    generator = torch.Generator().manual_seed(2)
    scores, sentence_image = torch.randn(6, 21, generator=generator), owners(5, 20, generator)
    fewer = rank_scores(scores[:5, :20], sentence_image)
    more = rank_scores(scores, torch.cat([sentence_image, torch.tensor([5])]))
    assert (more[0][:5] >= fewer[0]).all()
    assert (more[1][:20] >= fewer[1]).all()


def test_infinite_scores_are_ranked():
    scores = torch.tensor([[-torch.inf, torch.inf], [1.0, torch.inf]])
    of_images, of_sentences = rank_scores(scores, torch.tensor([0, 1]))
    assert of_images.tolist() == [2, 1]
    assert of_sentences.tolist() == [2, 2]


# the summary


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 15), min_size=1, max_size=12))
def test_the_summary_equals_counting(ranks):
    assert summarise_ranks(torch.tensor(ranks), "image") == pytest.approx(naive_summary(ranks, "image"))


# scores of everything with everything


@pytest.mark.parametrize("block", [1, 2_000, 30_000, ranking.BLOCK])
@pytest.mark.parametrize("score", ["max", "sum"])
@pytest.mark.parametrize("normalisation", ["sum", "mean", "smooth"])
def test_scores_in_blocks_equal_the_full_matrix(monkeypatch, block, score, normalisation):
    monkeypatch.setattr(ranking, "BLOCK", block)
    for right_padded in (True, False):
        v, region_mask, s, word_mask, _ = embedded(right_padded=right_padded)
        expected = alignment_scores(v, region_mask, s, word_mask, score, normalisation)
        torch.testing.assert_close(score_all(v, region_mask, s, word_mask, score, normalisation), expected)


def test_no_block_is_larger_than_it_may_be(monkeypatch):
    v, region_mask, s, word_mask, _ = embedded(45, 60, regions=100)
    seen = []

    def watched(regions, region_mask, words, *rest):
        seen.append((len(regions) * regions.shape[1] * len(words), len(regions), len(words)))
        return packed_scores(regions, region_mask, words, *rest)

    monkeypatch.setattr(ranking, "packed_scores", watched)
    monkeypatch.setattr(ranking, "BLOCK", 50_000)
    scores = score_all(v, region_mask, s, word_mask)
    assert 25_000 < max(size for size, *_ in seen) <= 50_000
    assert {pictures for _, pictures, _ in seen} == {20, 5}
    assert sum(words for _, pictures, words in seen if pictures == 5) == word_mask.sum()
    torch.testing.assert_close(scores, alignment_scores(v, region_mask, s, word_mask))


def test_what_stands_in_the_padding_changes_nothing():
    v, region_mask, s, word_mask, sentence_image = embedded()
    expected = rank(v, region_mask, s, word_mask, sentence_image)
    v[~region_mask], s[~word_mask] = 1e6, 1e6
    assert rank(v, region_mask, s, word_mask, sentence_image) == expected


@pytest.mark.parametrize("score", ["max", "sum"])
@pytest.mark.parametrize("block", [1, 3_000, ranking.BLOCK])
def test_rank_equals_the_naive_way_from_vectors_to_metrics(monkeypatch, score, block):
    monkeypatch.setattr(ranking, "BLOCK", block)
    v, region_mask, s, word_mask, sentence_image = embedded(12, 60, seed=3)
    S = torch.zeros(12, 60, dtype=torch.float64)
    for k in range(12):
        for l in range(60):  # noqa: E741
            products = s[l][word_mask[l]] @ v[k][region_mask[k]].T
            S[k, l] = (products.amax(1) if score == "max" else products.clamp(min=0).sum(1)).sum() / word_mask[l].sum()
    of_images, of_sentences = naive_ranks(S, sentence_image)
    expected = naive_summary(of_images, "sentence") | naive_summary(of_sentences, "image")
    v.requires_grad_()
    assert rank(v, region_mask, s, word_mask, sentence_image, score, "mean") == pytest.approx(expected)


# bad input


def test_bad_input_is_named():
    v, region_mask, s, word_mask, sentence_image = embedded()
    scores = score_all(v, region_mask, s, word_mask)
    with pytest.raises(ValueError, match="one entry for each of the 31 sentences"):
        rank_scores(scores, sentence_image[:-1])
    with pytest.raises(ValueError, match="one entry for each of the 31 sentences"):
        rank(v, region_mask, s, word_mask, sentence_image[:-1])
    for wrong in (9, -1):
        bad = sentence_image.clone()
        bad[3] = wrong
        with pytest.raises(ValueError, match=f"holds row {wrong}, but there are 9 pictures"):
            rank_scores(scores, bad)
    with pytest.raises(ValueError, match="picture 4 has no sentence: leave it out"):
        rank_scores(scores, torch.where(sentence_image == 4, 5, sentence_image))
    broken = scores.clone()
    broken[2, 7] = torch.nan
    with pytest.raises(ValueError, match="score of picture 2 with sentence 7 is NaN"):
        rank_scores(broken, sentence_image)
    v[2, 0, 1] = torch.nan
    with pytest.raises(ValueError, match="score of picture 2 with sentence 0 is NaN"):
        rank(v, region_mask, s, word_mask, sentence_image)


def test_empty_pictures_and_sentences_are_named_by_their_own_number(monkeypatch):
    monkeypatch.setattr(ranking, "BLOCK", 1)
    v, region_mask, s, word_mask, sentence_image = embedded()
    without = word_mask.clone()
    without[17] = False
    with pytest.raises(ValueError, match="sentence 17 has no word: leave it out"):
        rank(v, region_mask, s, without, sentence_image)
    without = region_mask.clone()
    without[6] = False
    with pytest.raises(ValueError, match="picture 6 has no region: leave it out"):
        rank(v, without, s, word_mask, sentence_image)
    with pytest.raises(ValueError, match=r"mask of the sentences must be \(31, 6\), got \(31, 5\)"):
        rank(v, region_mask, s, word_mask[:, :5], sentence_image)
    with pytest.raises(ValueError, match=r"mask of the pictures must be \(9, 4\), got \(8, 4\)"):
        rank(v, region_mask[:8], s, word_mask, sentence_image)
    with pytest.raises(ValueError, match="same size h"):
        rank(v, region_mask, s[..., :3], word_mask, sentence_image)
    with pytest.raises(ValueError, match="score must be"):
        rank(v, region_mask, s, word_mask, sentence_image, "best")
    with pytest.raises(ValueError, match="normalisation must be"):
        rank(v, region_mask, s, word_mask, sentence_image, normalisation="l2")
