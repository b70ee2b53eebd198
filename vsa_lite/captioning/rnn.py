"""The multimodal RNN: a picture enters once, words come out (chapter 10).

The same network writes sentences about whole pictures and snippets about regions; only the pairs differ that it is
trained on. Decoding (greedy, sampling, beam search) is in `vsa_lite.captioning.decoding`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vsa_lite.data.batches import Batch
from vsa_lite.distributed import share_of_all
from vsa_lite.words.dropout import Dropout

Cell = Literal["rnn", "lstm"]
State = tuple[Tensor, ...]  # what a step hands to the next; the first axis of each tensor is the sentence

END = 0  # the index that ends a sentence: `Vocabulary.END`, and the padding of `Batch.tokens`


class MultimodalRNN(nn.Module):
    r"""A recurrent language model that sees the picture at its first step only.

    .. math::
        b_v = W_{hi}\,\mathrm{CNN}(I) + b_i, \qquad
        h_t = f(W_{hx} x_t + W_{hh} h_{t-1} + b_h + 1(t{=}1)\,b_v), \qquad
        y_t = \mathrm{softmax}(W_{oh} h_t + b_o)

    with f = ReLU, h_0 = 0, x_1 = START and the last target END; the paper prints no b_i. With `cell="lstm"` the
    recurrence is an LSTM, and the picture is its input before START, as in Google's NIC.

    Args:
        vocabulary_size: V, words to choose from, END (index 0) included. START is index V, which is only ever read.
        feature_size: d, size of CNN(I).
        hidden_size: size of h_t; 512 in the paper.
        embedding_size: size of the word vectors x_t; by default that of h_t.
        dropout: share of x_t, b_v and of h_t on its way to the output that is dropped while training, as in
            neuraltalk; never inside the recurrence.
        cell: "rnn" as printed, or "lstm".
        generator: of the initial weights; by default torch's global one.

    Raises:
        ValueError: for a size below 1, a dropout outside 0..1, or an unknown cell.

    Source: Karpathy and Fei-Fei 2015, section 3.2; the LSTM, Vinyals et al. 2015.
    """

    kind = "caption"

    def __init__(
        self,
        vocabulary_size: int,
        feature_size: int,
        hidden_size: int = 512,
        embedding_size: int | None = None,
        dropout: float = 0.5,
        cell: Cell = "rnn",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        embedding_size = hidden_size if embedding_size is None else embedding_size
        sizes = {"vocabulary_size": vocabulary_size, "feature_size": feature_size}
        for name, size in (sizes | {"hidden_size": hidden_size, "embedding_size": embedding_size}).items():
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")
        if cell not in ("rnn", "lstm"):
            raise ValueError(f"cell must be 'rnn' or 'lstm', got {cell!r}")
        self.vocabulary_size, self.feature_size, self.hidden_size = vocabulary_size, feature_size, hidden_size
        self.embedding_size, self.dropout, self.cell = embedding_size, dropout, cell
        self.drop = Dropout(dropout)
        gates = 1 if cell == "rnn" else 4
        self.embedding = nn.Embedding(vocabulary_size + 1, embedding_size)  # W_w; the last row is START
        self.image = nn.Linear(feature_size, hidden_size if cell == "rnn" else embedding_size)  # W_hi, b_i
        self.input = nn.Linear(embedding_size, gates * hidden_size)  # W_hx, b_h
        self.recurrent = nn.Linear(hidden_size, gates * hidden_size, bias=False)  # W_hh
        self.output = nn.Linear(hidden_size, vocabulary_size)  # W_oh, b_o
        more = self._layers()
        self.register_buffer("feature_mean", torch.zeros(feature_size))
        self.register_buffer("feature_deviation", torch.ones(feature_size))
        self._initialise(generator, more)

    def _layers(self) -> list[nn.Linear]:
        """Makes the further layers of a model that is built on this one."""
        return []

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator | None, more: list[nn.Linear]) -> None:
        """Uniform weights that keep the variance of what passes; small ones to the output, so that it starts even."""

        def fill(*layers: nn.Linear) -> None:
            for layer in layers:
                bound = (0.1 if layer is self.output else 1.0) / math.sqrt(layer.in_features)
                layer.weight.uniform_(-bound, bound, generator=generator)
                if layer.bias is not None:
                    layer.bias.zero_()

        fill(self.image, self.input, self.recurrent, self.output)
        self.embedding.weight.uniform_(-1.0, 1.0, generator=generator)
        fill(*more)  # last: with one seed, a model with further layers starts with the same weights in all others
        if self.cell == "lstm":
            self.input.bias[self.hidden_size : 2 * self.hidden_size] = 1.0  # the forget gate starts open

    @classmethod
    def from_config(cls, config: dict) -> MultimodalRNN:
        """A model with fresh weights from what `config_dict` gave."""
        return cls(**config)

    def config_dict(self) -> dict:
        """The configuration, ready for JSON."""
        names = ("vocabulary_size", "feature_size", "hidden_size", "embedding_size", "dropout", "cell")
        return {name: getattr(self, name) for name in names}

    @property
    def start(self) -> int:
        """The input index START."""
        return self.vocabulary_size

    @torch.no_grad()
    def standardise(self, mean: Float[Tensor, " d"], deviation: Float[Tensor, " d"]) -> None:
        """Take this mean from features and divide by this deviation: those of the training features.

        A component that never changes (deviation 0) is only centred. Both are stored with the weights.
        """
        for name, value in (("mean", mean), ("deviation", deviation)):
            if value.shape != (self.feature_size,):
                raise ValueError(
                    f"the {name} of the features must be {self.feature_size} numbers, got shape {tuple(value.shape)}"
                )
            if not value.isfinite().all():
                raise ValueError(f"the {name} of the features is not finite: NaN or infinity stand among the features")
        self.feature_mean.copy_(mean)
        self.feature_deviation.copy_(torch.where(deviation > 0, deviation, 1.0))

    @torch.no_grad()
    def set_word_vectors(self, matrix: Float[Tensor, "V embedding"]) -> None:
        """Start W_w from word2vec, scaled to the size of its random start; rows of zeros and START stay random."""
        if matrix.shape != (self.vocabulary_size, self.embedding_size) or not matrix.isfinite().all():
            raise ValueError(
                f"word vectors must be {self.vocabulary_size} x {self.embedding_size} finite numbers, got shape "
                f"{tuple(matrix.shape)}"
            )
        known = (matrix != 0).any(1)
        words = self.embedding.weight[: self.vocabulary_size]
        size = matrix[known].pow(2).mean().sqrt().clamp(min=1e-8) * math.sqrt(3)  # of uniform numbers in -1..1
        words[known] = matrix[known].to(words) / size

    @torch.no_grad()
    def set_output_bias(self, counts: Sequence[int] | Int[Tensor, " V"]) -> None:
        r"""Start from log word frequencies, :math:`b_o = \log(\mathrm{count} / \sum \mathrm{count})`.

        The model then starts as a unigram model: on Flickr8k a perplexity of about 170 instead of about 2,500.

        Args:
            counts: how often each word occurs in training, for END the number of sentences: `Vocabulary.counts`. A
                word that never occurs counts as one.
        """
        counts = torch.as_tensor(counts, dtype=torch.float64)
        if counts.shape != (self.vocabulary_size,) or (counts < 0).any():
            raise ValueError(
                f"counts must be {self.vocabulary_size} numbers, one for each word, none below 0; "
                f"got shape {tuple(counts.shape)}"
            )
        counts = counts.clamp(min=1)
        self.output.bias.copy_((counts / counts.sum()).log())

    def initial_state(self, features: Float[Tensor, "images d"]) -> State:
        """What the first step starts from, START: the picture.

        Args:
            features: CNN(I) of each picture, or of each region; float.

        Raises:
            ValueError: for features of another size, or with NaN or infinity.
        """
        return self._begin(features)

    def _begin(self, features: Tensor) -> State:
        if features.ndim != 2 or features.shape[1] != self.feature_size:
            raise ValueError(
                f"this model takes features of shape (images, {self.feature_size}), got {tuple(features.shape)}: "
                "another size comes from another backbone"
            )
        bad = (~features.isfinite().all(1)).nonzero().flatten().tolist()
        if bad:
            raise ValueError(
                f"the features of picture {bad[0]} of the batch hold NaN or infinity: "
                "extract them again, or leave the picture out"
            )
        image = self.drop(
            self.image(self._standard(features))
        )  # b_v (images, H); for the LSTM its first input (images, E)
        if self.cell == "rnn":
            return (image,)  # h_0 = 0, so b_v is all that the first step adds to its input
        zeros = image.new_zeros(len(image), self.hidden_size)
        return self._advance(self.input(image), (zeros, zeros))[1]

    def _standard(self, features: Tensor) -> Tensor:
        return (features.to(self.feature_mean) - self.feature_mean) / self.feature_deviation

    def _advance(self, x: Float[Tensor, "images gates"], state: State) -> tuple[Float[Tensor, "images h"], State]:
        """h_t and the state for the next step, from x = W_hx x_t + b_h."""
        if self.cell == "rnn":
            (past,) = state  # W_hh h_{t-1}, or b_v at t = 1
            hidden = torch.relu(x + past)
            return hidden, (self.recurrent(hidden),)
        hidden, memory = state
        i, f, g, o = (x + self.recurrent(hidden)).chunk(4, dim=1)
        memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * memory.tanh()
        return hidden, (hidden, memory)

    def step(self, state: State, tokens: Int[Tensor, " images"]) -> tuple[Float[Tensor, "images V"], State]:
        """log y_t, the log probability of every next word after these, and the state after it.

        Args:
            state: from `initial_state`, or from the step before.
            tokens: the previous word of each sentence; `start` at the first step.
        """
        hidden, state = self._advance(self.input(self.drop(self.embedding(tokens))), state)
        return self.output(self.drop(hidden)).log_softmax(1), state

    def _hidden(
        self,
        features: Float[Tensor, "images d"],
        tokens: Int[Tensor, "images words"],
        word_mask: Bool[Tensor, "images words"],
    ) -> tuple[Float[Tensor, "positions h"], Int[Tensor, " positions"], Int[Tensor, " positions"]]:
        """h_t at the real positions only, step by step; of each, which sentence and which step.

        Sentences run longest first, so that those still going are always the first rows: a step is one slice, and
        nothing is computed for padding.
        """
        self._check_tokens(features, tokens, word_mask)
        lengths = word_mask.sum(1) + 1  # inputs START, w_1 .. w_T
        order = lengths.argsort(descending=True, stable=True)
        going = torch.arange(tokens.shape[1] + 1, device=tokens.device)[:, None] < lengths[order]  # (steps, images)
        steps, rows = going.nonzero(as_tuple=True)
        sentences = order[rows]
        words = nn.functional.pad(tokens, (1, 0), value=self.start)  # (images, 1 + words)
        x = self.input(self.drop(self.embedding(words[sentences, steps])))  # (positions, gates * H)
        state = tuple(part[order] for part in self._begin(features))
        hidden = []
        for x_t in x.split([n for n in going.sum(1).tolist() if n]):
            h_t, state = self._advance(x_t, tuple(part[: len(x_t)] for part in state))
            hidden.append(h_t)
        return torch.cat(hidden), sentences, steps

    def _check_tokens(self, features: Tensor, tokens: Tensor, word_mask: Tensor) -> None:
        if tokens.ndim != 2 or tokens.shape != word_mask.shape or len(tokens) != len(features) or not len(tokens):
            raise ValueError(
                "features, tokens and word_mask must have one row for each sentence, and at least one; got shapes "
                f"{tuple(features.shape)}, {tuple(tokens.shape)} and {tuple(word_mask.shape)}"
            )
        if (word_mask[:, 1:] & ~word_mask[:, :-1]).any():
            raise ValueError("words must be padded on the right: word_mask has a real word behind a padded one")
        wrong = word_mask & ((tokens <= END) | (tokens >= self.vocabulary_size))
        if wrong.any():
            raise ValueError(
                f"words must be indices from 1 to {self.vocabulary_size - 1}, got {int(tokens[wrong][0])}: "
                "END and START are put in by the model; another index belongs to another vocabulary"
            )

    def forward(
        self,
        features: Float[Tensor, "images d"],
        tokens: Int[Tensor, "images words"],
        word_mask: Bool[Tensor, "images words"],
    ) -> Float[Tensor, "images steps V"]:
        """Logits W_oh h_t + b_o of every step: inputs START, w_1 .. w_T, targets w_1 .. w_T, END.

        Args:
            features: CNN(I) of each sentence's picture (or region); float.
            tokens: the true words, right-padded; int64.
            word_mask: True where a word is real.

        Returns:
            One step more than words; zeros behind the end of a sentence.

        Raises:
            ValueError: for sizes that do not fit, features that are not finite, words outside the vocabulary.
        """
        hidden, sentences, steps = self._hidden(features, tokens, word_mask)
        logits = hidden.new_zeros(len(tokens), tokens.shape[1] + 1, self.vocabulary_size)
        return logits.index_put((sentences, steps), self.output(self.drop(hidden)))

    def mean_loss(
        self,
        features: Float[Tensor, "images d"],
        tokens: Int[Tensor, "images words"],
        word_mask: Bool[Tensor, "images words"],
    ) -> Float[Tensor, ""]:
        """`caption_loss` of `forward`, without computing anything for padding: the way to train.

        Its exponential is the perplexity. Arguments and errors as for `forward`.
        """
        hidden, sentences, steps = self._hidden(features, tokens, word_mask)
        targets = _targets(tokens, word_mask)[sentences, steps]
        return nn.functional.cross_entropy(self.output(self.drop(hidden)), targets)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """`mean_loss` of a batch: each sentence with region 0 of its row.

        Region 0 is the whole picture; for a region model, a batch holds one region a row, the one its snippet is about.
        Of several processes, each weighs by its number of words: their average is the mean over all words.
        """
        mean = self.mean_loss(batch.regions[:, 0], batch.tokens, batch.word_mask)
        return mean * share_of_all(batch.word_mask.sum() + len(batch))


def _targets(tokens: Tensor, word_mask: Tensor) -> Int[Tensor, "images steps"]:
    """w_1 .. w_T, END."""
    return nn.functional.pad(tokens.masked_fill(~word_mask, END), (0, 1), value=END)


def caption_loss(
    logits: Float[Tensor, "images steps V"],
    tokens: Int[Tensor, "images words"],
    word_mask: Bool[Tensor, "images words"],
) -> Float[Tensor, ""]:
    r"""Mean cross entropy of a word, END included: :math:`-\frac1n \sum_k \sum_t \log y_{k,t}(w_{k,t})`.

    Args:
        logits: from the model's forward; steps = words + 1.
        tokens: the true words; int64.
        word_mask: True where a word is real.
    """
    if logits.shape[:2] != (len(tokens), tokens.shape[1] + 1) or tokens.shape != word_mask.shape:
        raise ValueError(
            "logits must have one step more than there are words; got shapes "
            f"{tuple(logits.shape)}, {tuple(tokens.shape)} and {tuple(word_mask.shape)}"
        )
    real = nn.functional.pad(word_mask, (1, 0), value=True)  # a step has a target where its input is real
    return nn.functional.cross_entropy(logits[real], _targets(tokens, word_mask)[real])
