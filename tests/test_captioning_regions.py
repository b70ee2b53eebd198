"""Snippets of aligned sentences against a literal walk, and the region model that learns from them."""

from itertools import groupby

import pytest
import torch

from vsa_lite.captioning.decoding import greedy
from vsa_lite.captioning.regions import RegionPair, region_pairs
from vsa_lite.captioning.rnn import MultimodalRNN
from vsa_lite.data.batches import pad_tokens


def example(generator, sentences=40, words=12, regions=4):
    lengths = torch.randint(0, words + 1, (sentences, 1), generator=generator)
    mask = torch.arange(words) < lengths
    paths = torch.randint(0, regions, (sentences, words), generator=generator)
    tokens = torch.randint(1, 50, (sentences, words), generator=generator)
    return torch.randint(0, 9, (sentences,), generator=generator), paths, tokens, mask


def literal(image_ids, paths, tokens, mask, least, most, skip):
    pairs = []
    for k in range(len(paths)):
        words = [
            (a, w) for a, w, real in zip(paths[k].tolist(), tokens[k].tolist(), mask[k].tolist(), strict=True) if real
        ]
        for region, run in groupby(words, key=lambda pair: pair[0]):
            snippet = tuple(w for _, w in run)
            if least <= len(snippet) <= (most or 99) and not (skip and region == 0):
                pairs.append(RegionPair(int(image_ids[k]), region, snippet))
    return pairs


@pytest.mark.parametrize(("least", "most"), [(1, None), (2, None), (1, 1), (2, 3)])
@pytest.mark.parametrize("skip", [False, True])
def test_pairs_equal_a_literal_walk(least, most, skip):
    image_ids, paths, tokens, mask = example(torch.Generator().manual_seed(0))
    pairs = region_pairs(image_ids, paths, tokens, mask, least, most, skip)
    assert pairs == literal(image_ids, paths, tokens, mask, least, most, skip)
    assert pairs


def test_every_word_stands_in_one_snippet_and_padding_in_none():
    image_ids, paths, tokens, mask = example(torch.Generator().manual_seed(1))
    pairs = region_pairs(image_ids, paths, tokens.masked_fill(~mask, 0), mask, minimum_words=1)
    assert [w for pair in pairs for w in pair.tokens] == tokens[mask].tolist()
    changed = region_pairs(image_ids, paths.masked_fill(~mask, -7), tokens.masked_fill(~mask, 3), mask, minimum_words=1)
    assert changed == pairs


def test_equal_regions_of_neighbouring_sentences_are_not_joined():
    tokens, mask = pad_tokens([[1, 2], [3, 4]])
    pairs = region_pairs(torch.tensor([7, 7]), torch.full((2, 2), 5), tokens, mask)
    assert pairs == [RegionPair(7, 5, (1, 2)), RegionPair(7, 5, (3, 4))]


def test_no_words_give_no_pairs():
    mask = torch.zeros(3, 4, dtype=torch.bool)
    empty = torch.zeros(3, 4, dtype=torch.int64)
    assert region_pairs(torch.arange(3), empty, empty, mask) == []
    assert region_pairs(torch.arange(0), empty[:0], empty[:0], mask[:0]) == []


def test_the_same_network_learns_to_name_regions():
    # 30 pictures with two regions each, of four kinds; sentences join two snippets; paths say which words are whose
    generator = torch.Generator().manual_seed(2)
    snippets = [[1, 5], [2, 5, 6], [3, 7], [4, 7, 8, 9]]
    prototypes = 2 * torch.randn(4, 12, generator=generator)
    kinds = torch.stack([torch.randperm(4, generator=generator)[:2] for _ in range(30)])
    features = prototypes[kinds] + 0.1 * torch.randn(30, 2, 12, generator=generator)
    tokens, mask = pad_tokens([snippets[a] + snippets[b] for a, b in kinds.tolist()])
    paths, _ = pad_tokens([[0] * len(snippets[a]) + [1] * len(snippets[b]) for a, b in kinds.tolist()])
    pairs = region_pairs(torch.arange(30), paths, tokens, mask)
    assert len(pairs) == 60

    model = MultimodalRNN(10, 12, 32, dropout=0.0, generator=generator)
    regions = features[[p.image_id for p in pairs], [p.region for p in pairs]]
    words, word_mask = pad_tokens([p.tokens for p in pairs])
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(30):
        optimiser.zero_grad()
        model.mean_loss(regions, words, word_mask).backward()
        optimiser.step()
    unseen = prototypes + 0.1 * torch.randn(4, 12, generator=generator)
    assert greedy(model, unseen).tokens == snippets


def test_bad_input_is_named():
    image_ids, paths, tokens, mask = example(torch.Generator().manual_seed(3))
    with pytest.raises(ValueError, match="must have one shape"):
        region_pairs(image_ids, paths[:, :5], tokens, mask)
    with pytest.raises(ValueError, match="must have one shape"):
        region_pairs(image_ids[:3], paths, tokens, mask)
    with pytest.raises(ValueError, match="minimum_words must be at least 1, got 0"):
        region_pairs(image_ids, paths, tokens, mask, minimum_words=0)
    with pytest.raises(ValueError, match=r"maximum_words must be at least minimum_words \(3\), got 2"):
        region_pairs(image_ids, paths, tokens, mask, minimum_words=3, maximum_words=2)
    with pytest.raises(ValueError, match="negative region"):
        region_pairs(image_ids, paths - 1, tokens, mask)
