"""Stacked cross attention against its plain form, word by word; masks; gradients; as a score of the model."""

import pytest
import torch

from vsa_lite.alignment.cross_attention import DIRECTIONS, SHARPNESS, cross_attention_scores
from vsa_lite.alignment.losses import hardest_negative_loss
from vsa_lite.alignment.model import AlignmentConfig, AlignmentModel
from vsa_lite.alignment.scores import alignment_scores
from vsa_lite.data.batches import Batch
from vsa_lite.evaluation.ranking import score_all


def example(seed=0, images=3, sentences=4, regions=5, words=6, h=7):
    generator = torch.Generator().manual_seed(seed)
    v = torch.randn(images, regions, h, generator=generator, dtype=torch.float64)
    s = torch.randn(sentences, words, h, generator=generator, dtype=torch.float64)
    region_mask = torch.arange(regions) < torch.randint(1, regions + 1, (images, 1), generator=generator)
    word_mask = torch.arange(words) < torch.randint(1, words + 1, (sentences, 1), generator=generator)
    return v, region_mask, s, word_mask


def naive_pair(keys, queries, sharpness):
    """The mean over queries of the cosine with their mixture of keys, which is made."""
    cosines = torch.stack([torch.cosine_similarity(key[None], queries) for key in keys]).clamp(min=0)
    total = 0
    for j, query in enumerate(queries):
        likeness = [row[j] / row.norm().clamp(min=1e-8) for row in cosines]
        alpha = (sharpness * torch.stack(likeness)).softmax(0)
        mixture = sum(weight * key for weight, key in zip(alpha, keys, strict=True))
        total += torch.cosine_similarity(mixture, query, dim=0)
    return total / len(queries)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_equals_the_plain_form(direction):
    v, region_mask, s, word_mask = example()
    scores = cross_attention_scores(v, region_mask, s, word_mask, direction)
    for k in range(len(v)):
        for sentence in range(len(s)):
            regions, words = v[k][region_mask[k]], s[sentence][word_mask[sentence]]
            pair = (regions, words) if direction == "text_to_image" else (words, regions)
            torch.testing.assert_close(scores[k, sentence], naive_pair(*pair, SHARPNESS[direction]))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_padding_changes_nothing(direction):
    v, region_mask, s, word_mask = example(1)
    before = cross_attention_scores(v, region_mask, s, word_mask, direction)
    v[~region_mask], s[~word_mask] = 1e6, -1e6
    torch.testing.assert_close(cross_attention_scores(v, region_mask, s, word_mask, direction), before)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_near_and_finite_also_under_autocast(direction, dtype):
    v, region_mask, s, word_mask = example(4)
    v, s = (torch.nn.functional.normalize(part, dim=-1) for part in (v, s))
    exact = cross_attention_scores(v, region_mask, s, word_mask, direction)
    half = cross_attention_scores(v.to(dtype), region_mask, s.to(dtype), word_mask, direction)
    torch.testing.assert_close(half.double(), exact, atol=0.02, rtol=0)
    with torch.autocast("cpu", dtype=dtype):
        cast = cross_attention_scores(v.float(), region_mask, s.float(), word_mask, direction)
    torch.testing.assert_close(cast.double(), exact, atol=1e-5, rtol=0)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_gradients_are_right(direction):
    v, region_mask, s, word_mask = example(2, images=2, sentences=2, regions=3, words=3, h=4)
    v.requires_grad_(), s.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda v, s: cross_attention_scores(v, region_mask, s, word_mask, direction), (v, s)
    )


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_blocks_equal_the_whole(direction, monkeypatch):
    v, region_mask, s, word_mask = example(3, images=7, sentences=230)
    monkeypatch.setattr("vsa_lite.evaluation.ranking.BLOCK", 3 * 5 * 6 * 100)
    whole = alignment_scores(v, region_mask, s, word_mask, direction, "mean")
    torch.testing.assert_close(score_all(v, region_mask, s, word_mask, direction, "mean"), whole)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_model_learns_with_it(direction):
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    sizes = {"vocabulary_size": 12, "feature_size": 6, "embedding_size": 8, "hidden_size": 8, "word_size": 5}
    ways = {"unit_vectors": True, "normalisation": "mean", "loss": "hardest", "margin": 0.2, "train_words": True}
    model = AlignmentModel(AlignmentConfig(**sizes, **ways, score=direction))
    regions, tokens = torch.randn(4, 3, 6, generator=generator), torch.randint(1, 12, (4, 5), generator=generator)
    masks = torch.ones(4, 3, dtype=torch.bool), torch.ones(4, 5, dtype=torch.bool)
    batch = Batch(torch.arange(4), regions, masks[0], torch.zeros(4, 3, 4), tokens, masks[1])
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    first = model.loss(batch).item()
    for _ in range(30):
        optimiser.zero_grad()
        loss = model.loss(batch)
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.5 * first
    scores = model(batch)
    torch.testing.assert_close(hardest_negative_loss(scores, batch.image_ids, 0.2) / 4, model.loss(batch))


def test_wrong_choices_are_named():
    v, region_mask, s, word_mask = example()
    with pytest.raises(ValueError, match="direction must be 'text_to_image' or 'image_to_text', got 'both'"):
        cross_attention_scores(v, region_mask, s, word_mask, "both")
    with pytest.raises(ValueError, match="is a mean: set normalisation to 'mean', got 'sum'"):
        alignment_scores(v, region_mask, s, word_mask, "image_to_text")
    with pytest.raises(ValueError, match="needs unit_vectors=True"):
        AlignmentConfig(10, 10, score="text_to_image", normalisation="mean")
