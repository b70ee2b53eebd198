"""Eq. 7, 8 and 9 against naive loops, numeric gradients, masks, and the two plateaus."""

import pytest
import torch

from vsa_lite.alignment.losses import contrastive_loss, hardest_negative_loss, structured_loss
from vsa_lite.alignment.scores import SMOOTHING, alignment_scores


def example(generator, images=3, sentences=4, regions=5, words=6, h=7, dtype=torch.float64):
    v = torch.randn(images, regions, h, generator=generator, dtype=dtype)
    s = torch.randn(sentences, words, h, generator=generator, dtype=dtype)
    region_mask = torch.arange(regions) < torch.randint(1, regions + 1, (images, 1), generator=generator)
    word_mask = torch.arange(words) < torch.randint(1, words + 1, (sentences, 1), generator=generator)
    return v, region_mask, s, word_mask


def naive(v, region_mask, s, word_mask, score):
    out = torch.zeros(len(v), len(s), dtype=v.dtype)
    for k in range(len(v)):
        for l in range(len(s)):  # noqa: E741
            for t in range(s.shape[1]):
                if word_mask[l, t]:
                    products = [torch.dot(v[k, i], s[l, t]) for i in range(v.shape[1]) if region_mask[k, i]]
                    out[k, l] += max(products) if score == "max" else sum(max(p, p * 0) for p in products)
    return out


@pytest.mark.parametrize("score", ["max", "sum"])
@pytest.mark.parametrize("normalisation", ["sum", "mean", "smooth"])
def test_scores_equal_naive_loops(score, normalisation):
    generator = torch.Generator().manual_seed(1)
    v, region_mask, s, word_mask = example(generator)
    expected = naive(v, region_mask, s, word_mask, score)
    n = word_mask.sum(1)
    expected = expected / {"sum": torch.ones_like(n), "mean": n, "smooth": n + SMOOTHING}[normalisation]
    torch.testing.assert_close(alignment_scores(v, region_mask, s, word_mask, score, normalisation), expected)


@pytest.mark.parametrize("score", ["max", "sum"])
def test_padding_changes_nothing(score):
    generator = torch.Generator().manual_seed(2)
    v, region_mask, s, word_mask = example(generator)
    before = alignment_scores(v, region_mask, s, word_mask, score)
    v[~region_mask] = 1e6
    s[~word_mask] = 1e6
    torch.testing.assert_close(alignment_scores(v, region_mask, s, word_mask, score), before)


@pytest.mark.parametrize("loss", [structured_loss, hardest_negative_loss, contrastive_loss])
def test_gradients_are_right(loss):
    generator = torch.Generator().manual_seed(3)
    v, region_mask, s, word_mask = example(generator, images=4, sentences=4, regions=3, words=3, h=4)
    ids = torch.tensor([0, 1, 1, 2])
    v.requires_grad_(), s.requires_grad_()
    assert torch.autograd.gradcheck(lambda v, s: loss(alignment_scores(v, region_mask, s, word_mask), ids), (v, s))


def test_structured_loss_equals_the_equation_as_printed_less_its_constant():
    generator = torch.Generator().manual_seed(4)
    S = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    printed = sum(
        max(0.0, S[k, l] - S[k, k] + 1) + max(0.0, S[l, k] - S[k, k] + 1)
        for k in range(5)
        for l in range(5)  # noqa: E741
    )
    torch.testing.assert_close(structured_loss(S, torch.arange(5)), printed - 2 * 5)


def test_the_two_plateaus():
    S, ids = torch.full((6, 6), 3.7), torch.arange(6)
    assert structured_loss(S, ids, margin=0.5).item() == pytest.approx(2 * 6 * 5 * 0.5)
    assert hardest_negative_loss(S, ids, margin=0.5).item() == pytest.approx(2 * 6 * 0.5)


@pytest.mark.parametrize("loss", [structured_loss, hardest_negative_loss, contrastive_loss])
def test_sentences_of_one_picture_are_no_negatives(loss):
    ids = torch.tensor([7, 7, 8])
    S = torch.zeros(3, 3)
    changed = S.clone()
    changed[0, 1] = changed[1, 0] = 100.0
    assert loss(changed, ids) == loss(S, ids)


def test_bad_input_is_named():
    generator = torch.Generator().manual_seed(5)
    v, region_mask, s, word_mask = example(generator)
    with pytest.raises(ValueError, match="score must be"):
        alignment_scores(v, region_mask, s, word_mask, "best")
    with pytest.raises(ValueError, match="normalisation must be"):
        alignment_scores(v, region_mask, s, word_mask, normalisation="l2")
    with pytest.raises(ValueError, match="picture 1 has no region"):
        alignment_scores(v, region_mask & torch.tensor([[True], [False], [True]]), s, word_mask)
    with pytest.raises(ValueError, match="sentence 0 has no word"):
        alignment_scores(v, region_mask, s, word_mask & (torch.arange(4) > 0)[:, None])
    with pytest.raises(ValueError, match="same size h"):
        alignment_scores(v, region_mask, s[..., :3], word_mask)
    with pytest.raises(ValueError, match="must be square"):
        structured_loss(torch.zeros(3, 4), torch.arange(3))
