"""The cycle's way back as a model of its own: where a word is found that has been said (chapter 14)."""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vsa_lite.captioning.attention import AttentionCaptioner, Seen, log_attention
from vsa_lite.data.batches import Batch


class Localiser(nn.Module):
    r"""Where a word that is said is found again: :math:`\alpha^c_{ti} \propto \exp(v_i \cdot U W_w[w_t])`.

    It is asked and judged as attention is, and answers another question: attention looks before the word is said, by
    the words so far; this one afterwards, by the word alone.

    Args:
        model: a caption model that was trained with the cycle.

    Raises:
        ValueError: for a model without the cycle.
    """

    def __init__(self, model: AttentionCaptioner) -> None:
        super().__init__()
        if not model.extras["cycle_weight"]:
            raise ValueError("only a model that was trained with a cycle_weight above 0 finds its words again")
        self.model = model

    def attention(
        self,
        features: Float[Tensor, "images regions d"],
        tokens: Int[Tensor, "images words"],
        word_mask: Bool[Tensor, "images words"],
        revision: int = -1,
    ) -> Float[Tensor, "images words regions"]:
        """alpha^c of each true word; zeros where padded. `revision` is taken and not used: there is one pass."""
        seen = Seen(*self.model.initial_state(features)[-3:])
        return self.model.found_again(tokens, seen) * word_mask[..., None]

    def products(self, batch: Batch) -> Float[Tensor, "pairs words regions"]:
        """log alpha^c, in place of an alignment's products."""
        return log_attention(self.attention(batch.regions, batch.tokens, batch.word_mask))
