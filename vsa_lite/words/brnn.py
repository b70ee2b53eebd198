"""The bidirectional recurrent network that lets a word know its neighbours (chapter 3)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from vsa_lite.words.dropout import Dropout


class BRNN(nn.Module):
    r"""Words in their context, :math:`x_t \to s_t`.

    .. math::
        e_t &= f(W_e x_t + b_e) \\
        h^f_t &= f(e_t + W_f h^f_{t-1} + b_f) \\
        h^b_t &= f(e_t + W_b h^b_{t+1} + b_b) \\
        s_t &= f(W_d (h^f_t + h^b_t) + b_d)

    with f = ReLU, and zero states before the first and behind the last real word. Unlike
    `nn.RNN(bidirectional=True)`, both directions share one input map, have none of their own, and are summed.

    Args:
        word_size: of x_t; 300 in the paper.
        hidden_size: of e_t, h^f_t and h^b_t.
        output_size: h, the size of s_t and of the common space.
        input_dropout, output_dropout: on x_t, and on the sum of both directions; never inside the recurrence.
        output_relu: False leaves out the last f, so that s_t may be negative.
        generator: of the initial weights; by default torch's global one.

    Raises:
        ValueError: for a size below 1, or a dropout outside 0..1.

    Source: Karpathy and Fei-Fei 2015, section 3.1.2.
    """

    def __init__(
        self,
        word_size: int,
        hidden_size: int,
        output_size: int,
        *,
        input_dropout: float = 0.0,
        output_dropout: float = 0.0,
        output_relu: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("word_size", word_size), ("hidden_size", hidden_size), ("output_size", output_size)):
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        self.input_dropout, self.output_dropout = Dropout(input_dropout), Dropout(output_dropout)
        self.output_relu = output_relu
        self.input = nn.Linear(word_size, hidden_size)  # W_e, b_e
        self.forward_recurrent = nn.Linear(hidden_size, hidden_size)  # W_f, b_f
        self.backward_recurrent = nn.Linear(hidden_size, hidden_size)  # W_b, b_b
        self.output = nn.Linear(hidden_size, output_size)  # W_d, b_d
        self._initialise(generator)

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator | None) -> None:
        """He's weights outside, and a recurrence that starts at half the size that would keep a state's length."""
        for layer in (self.input, self.output):
            layer.weight.normal_(0, math.sqrt(2 / layer.in_features), generator=generator)
            layer.bias.zero_()
        for layer in (self.forward_recurrent, self.backward_recurrent):
            # as nn.init.orthogonal_, which takes no generator in PyTorch's older versions
            q, r = torch.linalg.qr(layer.weight.normal_(generator=generator))
            layer.weight.copy_(0.5 * q * r.diagonal().sign())
            layer.bias.zero_()

    def forward(
        self, words: Float[Tensor, "sentences words x"], word_mask: Bool[Tensor, "sentences words"]
    ) -> Float[Tensor, "sentences words h"]:
        """s_t of every word; zeros where padded.

        Sentences run longest first, so that a step is one slice of those still going, and nothing is computed for
        padding. The backward direction walks each sentence from its own last word.

        Args:
            words: x, word vectors, padded on the right; float.
            word_mask: True where a word is real.

        Raises:
            ValueError: for vectors of another size, a mask that does not fit, or a real word behind a padded one.
        """
        size = self.input.in_features
        if words.ndim != 3 or words.shape[-1] != size or words.shape[:2] != word_mask.shape:
            raise ValueError(
                f"words must be (sentences, words, {size}) with a mask of their own first two sizes; "
                f"got {tuple(words.shape)} and {tuple(word_mask.shape)}"
            )
        if word_mask.dtype != torch.bool:
            raise ValueError(f"word_mask must be bool, True where a word is real; got {word_mask.dtype}")
        if (word_mask[:, 1:] & ~word_mask[:, :-1]).any():
            raise ValueError("words must be padded on the right: word_mask has a real word behind a padded one")
        lengths = word_mask.sum(1)
        order = lengths.argsort(descending=True, stable=True)
        going = torch.arange(words.shape[1], device=words.device)[:, None] < lengths[order]  # (steps, sentences)
        steps, rows = going.nonzero(as_tuple=True)
        sentences = order[rows]
        counts = [n for n in going.sum(1).tolist() if n]
        if not counts:
            return words.new_zeros(*words.shape[:2], self.output.out_features)
        e = torch.relu(self.input(self.input_dropout(words[sentences, steps])))  # (real words, hidden)
        # where in `e` the word stands that the backward direction meets at the same step: the last word first
        starts = torch.tensor([0, *counts], device=words.device).cumsum(0)
        mirror = starts[lengths[sentences] - 1 - steps] + rows
        h = _run(e, self.forward_recurrent, counts) + _run(e[mirror], self.backward_recurrent, counts)[mirror]
        out = self.output(self.output_dropout(h))
        if self.output_relu:
            out = torch.relu(out)
        s = out.new_zeros(*words.shape[:2], out.shape[1])
        return s.index_put((sentences, steps), out)  # (sentences, words, h)


def _run(e: Float[Tensor, "n hidden"], recurrent: nn.Linear, counts: list[int]) -> Float[Tensor, "n hidden"]:
    """h_t = ReLU(e_t + W h_{t-1} + b) over packed steps: the first counts[0] rows are step 0, and so on."""
    hidden, states = None, []
    for e_t in (e + recurrent.bias).split(counts):
        hidden = torch.relu(e_t if hidden is None else torch.addmm(e_t, hidden[: len(e_t)], recurrent.weight.T))
        states.append(hidden)
    return torch.cat(states)
