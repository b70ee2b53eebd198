"""Teaching attention: soft targets from the alignment, or from true boxes, beside the pairs (chapter 14)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vsa_lite.alignment.chain import marginals, relative_beta
from vsa_lite.alignment.model import AlignmentModel
from vsa_lite.alignment.pairs import Pairs
from vsa_lite.data.batches import Batch
from vsa_lite.words.vocabulary import Vocabulary

FREQUENT = 0.15  # words that occur oftener than this, per sentence, are not worth grounding: a, the, on


@dataclass(frozen=True)
class TaughtBatch(Batch):
    """A batch with what a teacher says about its words.

    Attributes:
        attention: beta, where each word should look; sums to 1 over real regions where `attention_mask` is True.
        attention_mask: m, the words that the teacher speaks of.
    """

    attention: Float[Tensor, "pairs words regions"]
    attention_mask: Bool[Tensor, "pairs words"]


class TaughtPairs:
    """Pairs whose batches bring a teacher's attention.

    Args:
        pairs: without mirrored pictures.
        attention: beta of every pair; [pairs, longest, regions], float.
        attention_mask: m of every pair; [pairs, longest].

    Raises:
        ValueError: for shapes that do not fit the pairs, a mask beside a sentence's words, or a beta of a masked word
            that is no distribution over regions.
    """

    def __init__(
        self,
        pairs: Pairs,
        attention: Float[Tensor, "pairs words regions"],
        attention_mask: Bool[Tensor, "pairs words"],
    ) -> None:
        longest, regions = max(map(len, pairs.tokens)), pairs.batch([0]).regions.shape[1]
        expected = (len(pairs), longest, regions)
        if attention.shape != expected or attention_mask.shape != expected[:2]:
            raise ValueError(
                f"attention must be (pairs, words, regions) = {expected} and its mask {expected[:2]}, "
                f"got {tuple(attention.shape)} and {tuple(attention_mask.shape)}"
            )
        if attention_mask.dtype != torch.bool:
            raise ValueError(f"the mask must be boolean, got {attention_mask.dtype}")
        if (attention_mask & (torch.arange(longest) >= torch.tensor([*map(len, pairs.tokens)])[:, None])).any():
            raise ValueError("the mask names words behind the end of a sentence")
        taught = attention[attention_mask]
        odd = (taught < 0).any(1) | ~((taught.sum(1) - 1).abs() < 1e-3)  # NaN is odd, too
        if odd.any():
            raise ValueError(
                f"{int(odd.sum())} of {len(taught)} masked words have an attention that is no distribution: it must be "
                "at least 0 and sum to 1 over the regions"
            )
        self.pairs, self.attention, self.attention_mask = pairs, attention, attention_mask

    def __len__(self) -> int:
        return len(self.pairs)

    def digest(self) -> str:
        """The lesson in 16 letters, so that a training is resumed with the same one only."""
        parts = (self.attention, self.attention_mask)
        return hashlib.sha256(b"".join(part.contiguous().numpy().tobytes() for part in parts)).hexdigest()[:16]

    def batch(self, indices: Sequence[int] | Int[Tensor, " pairs"]) -> TaughtBatch:
        """The items with these numbers.

        Raises:
            ValueError: for a taught word that is to look at a region that its picture does not have.
        """
        indices = torch.as_tensor(indices)
        plain = self.pairs.batch(indices)
        words = plain.tokens.shape[1]
        attention, mask = self.attention[indices, :words], self.attention_mask[indices, :words]
        beside = ((attention > 0) & ~plain.region_mask[:, None]).any(-1) & mask  # (pairs, words)
        if beside.any():
            pair = int(indices[beside.any(1)][0])
            raise ValueError(f"the attention of pair {pair} lies on padding: its picture has fewer regions than that")
        return TaughtBatch(
            **{field.name: getattr(plain, field.name) for field in fields(plain)},
            attention=attention,
            attention_mask=mask,
        )


def worth_grounding(vocabulary: Vocabulary, most: float = FREQUENT) -> Bool[Tensor, " V"]:
    """Which words of the vocabulary are worth a place in the picture: those that occur seldom, for their sentences.

    It goes by frequency alone: on Flickr8k it keeps silent about *dog* and *man*, too.
    """
    counts = torch.tensor(vocabulary.counts, dtype=torch.float64)
    worth = counts <= most * counts[Vocabulary.END]
    worth[Vocabulary.END] = False
    return worth


@torch.inference_mode()
def alignment_targets(
    model: AlignmentModel, pairs: Pairs, beta: float = 0.5, temperature: float = 0.25, batch_size: int = 500
) -> tuple[Float[Tensor, "pairs words regions"], Bool[Tensor, "pairs words"]]:
    """What a trained, frozen alignment teaches: the marginals of its chain, and the words that are worth it.

    Args:
        model: the alignment, of the pairs' vocabulary.
        pairs: with the regions that the attention will choose from.
        beta, temperature: of the chain, both in units of the spread of each sentence's products.
        batch_size: sentences at once.
    """
    model.eval()
    longest = max(map(len, pairs.tokens))
    parts, worth, device = [], worth_grounding(pairs.vocabulary), next(model.parameters()).device
    for start in range(0, len(pairs), batch_size):
        batch = pairs.batch(range(start, min(start + batch_size, len(pairs)))).to(device)
        unary = model.products(batch)
        spread = relative_beta(unary, batch.word_mask, batch.region_mask, 1.0).clamp(min=1e-6)
        unit = unary / spread[:, None, None]  # so that one temperature means the same in every sentence
        soft = marginals(unit, batch.word_mask, batch.region_mask, beta, temperature).cpu()
        mask = batch.word_mask.cpu() & worth[batch.tokens.cpu()]
        gap = longest - soft.shape[1]
        parts.append((torch.nn.functional.pad(soft, (0, 0, 0, gap)), torch.nn.functional.pad(mask, (0, gap))))
    attention, mask = (torch.cat(part) for part in zip(*parts, strict=True))
    return attention, mask


def shuffled(
    attention: Float[Tensor, "pairs words regions"],
    attention_mask: Bool[Tensor, "pairs words"],
    generator: torch.Generator,
) -> Float[Tensor, "pairs words regions"]:
    """A teacher that knows nothing: beta of each taught word handed to another one. As sharp as before, about nothing.

    For pictures with equally many regions.
    """
    mixed, taught = attention.clone(), attention[attention_mask]
    mixed[attention_mask] = taught[torch.randperm(len(taught), generator=generator)]
    return mixed
