"""What is measured on: sentences as long as COCO's, regions and features of random numbers, weights from a seed."""

from __future__ import annotations

import torch
from torch import Tensor

from vsa_lite.data.batches import Batch

WORDS = 10.8  # mean length of a sentence: 270,000 words in 25,000 sentences


def lengths(sentences: int, generator: torch.Generator) -> Tensor:
    """Lengths of sentences: about normal, mean 10.8, deviation 2.4, from 6 to 30."""
    return (WORDS + 2.4 * torch.randn(sentences, generator=generator)).round().clamp(6, 30).long()


def mask_of(length: Tensor) -> Tensor:
    """The mask of real words, padding on the right."""
    return torch.arange(int(length.max())) < length[:, None]


def tokens_of(mask: Tensor, vocabulary: int, generator: torch.Generator) -> Tensor:
    """Words from 1 on, as frequent as in a text (a word's share falls with its number), zeros where padded."""
    share = 1 / torch.arange(1, vocabulary, dtype=torch.float64)
    words = 1 + torch.multinomial(share, mask.numel(), replacement=True, generator=generator)
    return words.view(mask.shape) * mask


def batch_of(
    pairs: int,
    regions: int,
    feature_size: int,
    vocabulary: int,
    generator: torch.Generator,
    sentences: Tensor | None = None,
) -> Batch:
    """A batch of different pictures: features as after a ReLU, all regions real."""
    mask = mask_of(lengths(pairs, generator) if sentences is None else sentences)
    return Batch(
        torch.arange(pairs),
        torch.randn(pairs, regions, feature_size, generator=generator).clamp(min=0),
        torch.ones(pairs, regions, dtype=torch.bool),
        torch.zeros(pairs, regions, 4),
        tokens_of(mask, vocabulary, generator),
        mask,
    )
