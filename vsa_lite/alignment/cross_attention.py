"""Stacked cross attention, an alternative to the two scores: words attend to regions, or regions to words (chapter 13).

Where eq. 8 takes one region a word, here a word takes a mixture of them, and is compared with the mixture. The mixtures
themselves are never made: their lengths follow from the Gram matrices of regions and of words.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

Direction = Literal["text_to_image", "image_to_text"]
SHARPNESS = {"text_to_image": 9.0, "image_to_text": 4.0}  # inverse temperatures lambda_1 of the paper
DIRECTIONS = tuple(SHARPNESS)  # each is a score of its own
TINY = 1e-8


def cross_attention_scores(
    regions: Float[Tensor, "images regions h"],
    region_mask: Bool[Tensor, "images regions"],
    words: Float[Tensor, "sentences words h"],
    word_mask: Bool[Tensor, "sentences words"],
    direction: Direction = "text_to_image",
) -> Float[Tensor, "images sentences"]:
    r"""Every picture against every sentence: the mean cosine of the words with what they attend to, or of the regions.

    With :math:`c_{ij} = \cos(v_i, s_j)`, from text to image a word attends by
    :math:`\alpha_{ij} = \mathrm{softmax}_i(\lambda\, \bar c_{ij})`,
    :math:`\bar c_{ij} = [c_{ij}]_+ / \sqrt{\sum_{j'} [c_{ij'}]_+^2}`, to :math:`a_j = \sum_i \alpha_{ij} v_i`, and

    .. math:: \cos(s_j, a_j) = \frac{\sum_i \alpha_{ij}\, v_i \cdot s_j}{|s_j| \sqrt{\alpha_j^\top G\, \alpha_j}},
        \qquad G = V V^\top.

    From image to text the parts of regions and words are exchanged.

    Args:
        regions, words: v and s; float. Their lengths do not matter to the cosines, but those of the attended do to the
            mixture, as in the paper, whose regions and words have length 1.
        region_mask, word_mask: True where real; every picture and every sentence needs one.
        direction: which of the two attends.

    Returns:
        S, one row a picture, one column a sentence, each between -1 and 1; float, in at least single precision.

    Raises:
        ValueError: for an unknown direction.

    Source: Lee et al. 2018, "Stacked Cross Attention for Image-Text Matching", with average pooling.
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"direction must be 'text_to_image' or 'image_to_text', got {direction!r}")
    with torch.autocast(regions.device.type, enabled=False):  # TINY is 0 in half precision
        regions, words = (part.to(torch.promote_types(part.dtype, torch.float32)) for part in (regions, words))
        regions, words = regions * region_mask[..., None], words * word_mask[..., None]
        products = torch.einsum("krh,lth->klrt", regions, words)
        regions, words = regions[:, None], words[None]  # (images, 1, regions, h), (1, sentences, words, h)
        region_mask, word_mask = region_mask[:, None], word_mask[None]
        if direction == "text_to_image":
            return _attend(products, regions, region_mask, words, word_mask, SHARPNESS[direction])
        return _attend(products.mT, words, word_mask, regions, region_mask, SHARPNESS[direction])


def _attend(
    products: Float[Tensor, "images sentences keys queries"],
    keys: Float[Tensor, "#images #sentences keys h"],
    key_mask: Bool[Tensor, "#images #sentences keys"],
    queries: Float[Tensor, "#images #sentences queries h"],
    query_mask: Bool[Tensor, "#images #sentences queries"],
    sharpness: float,
) -> Float[Tensor, "images sentences"]:
    """The mean over queries of the cosine between each and its mixture of keys."""
    gram = keys @ keys.mT  # G: (1 or images, 1 or sentences, keys, keys)
    query_length = queries.norm(dim=-1).clamp(min=TINY)  # (1 or images, 1 or sentences, queries)
    key_length = gram.diagonal(dim1=-2, dim2=-1).clamp(min=TINY**2).sqrt()  # (.., .., keys)
    cosines = products / (key_length[..., None] * query_length[..., None, :])
    likeness = nn.functional.normalize(cosines.clamp(min=0), dim=-1, eps=TINY)  # over the queries
    alpha = (sharpness * likeness).masked_fill(~key_mask[..., None], -torch.inf).softmax(2)
    attended = (alpha * (gram @ alpha)).sum(2).clamp(min=TINY**2).sqrt()  # |a|: (images, sentences, queries)
    cosine = (alpha * products).sum(2) / (attended * query_length)
    return (cosine * query_mask).sum(-1) / query_mask.sum(-1)
