r"""Attention: a caption model that looks at the regions again for every word, and may think twice (chapters 13 and 14).

The recurrence is that of :class:`~vsa_lite.captioning.rnn.MultimodalRNN`: it sees the whole picture once, at its start.
Between its state h_t and the words stands the attention,

.. math::
    z_{ti} = w^\top \tanh(W_q h_t + W_k v_i) \;\text{ or }\; W_q h_t \cdot W_k v_i / \sqrt{H}, \qquad
    \alpha_t = \mathrm{softmax}(z_t), \qquad c_t = g_t \sum_i \alpha_{ti} v_i, \qquad
    y_t = \mathrm{softmax}(W_{oh} \tanh(W_c [h_t; c_t]) + b_o)

so that all steps of a sentence are attended at once while training: nothing that was attended goes back into the state.

*Feedback.* The words predicted at first, :math:`q_t = \sum_w y^0_t(w) W_w[w]`, go back to the regions and revise
where it looks: :math:`z^1_{ti} = z^0_{ti} + \gamma\, v_i \cdot U q_t`, with :math:`\gamma` learned and 0 at the start;
then it predicts again, as often as asked. *Cycle.* From the emitted word alone the region is found again,
:math:`\alpha^c_{ti} \propto \exp(v_i \cdot U W_w[w_t])`, and there the true word must be predicted once more.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from vsa_lite.captioning.rnn import Cell, MultimodalRNN, State, _targets
from vsa_lite.captioning.teacher import TaughtBatch
from vsa_lite.data.batches import Batch
from vsa_lite.distributed import share_of_all

Scoring = Literal["additive", "dot"]
Feedback = Literal["words", "state"]


class Seen(NamedTuple):
    """What there is to look at, a row for each picture or for each position.

    Attributes:
        values: v of each region.
        keys: W_k v of each region, made once a picture, however many words look at it.
        mask: True where a region is real.
    """

    values: Float[Tensor, "rows regions H"]
    keys: Float[Tensor, "rows regions H"]
    mask: Bool[Tensor, "rows regions"]

    def of(self, rows: Int[Tensor, " positions"]) -> Seen:
        """The rows with these numbers."""
        return Seen(*(part.index_select(0, rows) for part in self))


@dataclass(frozen=True)
class Look:
    """One pass over the regions.

    Attributes:
        log_alpha: log of the attention of each position; minus infinity where padded.
        counts: how much each region counted: alpha, or with hard attention 1 for the one that was chosen.
        logits: of each position's next word.
    """

    log_alpha: Float[Tensor, "positions regions"]
    counts: Float[Tensor, "positions regions"]
    logits: Float[Tensor, "positions V"]

    @property
    def alpha(self) -> Float[Tensor, "positions regions"]:
        """The attention: sums to 1 over real regions, 0 where padded."""
        return self.log_alpha.exp()


class AttentionCaptioner(MultimodalRNN):
    r"""The multimodal RNN with soft or hard attention over regions, revised by its own words if asked.

    The loss is the mean of the passes' cross entropies, plus

    .. math::
        \lambda_a \frac{\sum_t m_t \mathrm{KL}(\beta_t \| \alpha_t)}{\sum_t m_t} + \lambda_c L_{\mathrm{recon}}
        + \lambda_d \sum_i (T / R - \sum_t \alpha_{ti})^2

    each where its weight is not 0; the first where the batch brings a teacher's beta and m
    (:class:`~vsa_lite.captioning.teacher.TaughtBatch`). The target of the last is T/R, since the sum of all alpha is
    T; with 1, as Show, Attend and Tell prints it, no attention could reach it unless R = T.

    Args:
        vocabulary_size, feature_size, hidden_size, embedding_size, dropout, cell, generator: as for the multimodal RNN.
        scoring: "additive" or "dot".
        gate: whether the attended vector is scaled by :math:`g_t = \sigma(w_g \cdot h_t + b_g)`.
        hard: look at one region, drawn from alpha while training (REINFORCE with a moving baseline), the most probable
            one otherwise.
        revisions: how often the attention is revised.
        feedback: "words" as above; "state" revises by the state in place of the words: a second look without
            feedback and with one layer more, a control.
        teacher_weight, cycle_weight, doubly_weight: lambda_a, lambda_c, lambda_d.
        cycle_holds: whether the cycle's second prediction leaves the layers that predict, and the states, as they are
            and moves the words' and regions' vectors only: the writer then learns nothing from regions that were
            chosen by somebody who knew the word.

    Raises:
        ValueError: for an unknown choice, a negative number, or hard attention with anything that needs soft one.

    Source: Xu et al. 2015 (attention, regulariser, hard attention); Lu et al. 2017 (attending after the recurrence);
    Zhou et al. 2020 (a matcher as teacher); Ma et al. 2020 (the cycle); the revision is after Lyu et al. 2019.
    """

    kind = "attention"

    def __init__(
        self,
        vocabulary_size: int,
        feature_size: int,
        hidden_size: int = 512,
        embedding_size: int | None = None,
        dropout: float = 0.5,
        cell: Cell = "lstm",
        scoring: Scoring = "additive",
        gate: bool = True,
        hard: bool = False,
        revisions: int = 0,
        feedback: Feedback = "words",
        teacher_weight: float = 0.0,
        cycle_weight: float = 0.0,
        doubly_weight: float = 0.0,
        cycle_holds: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        if scoring not in ("additive", "dot"):
            raise ValueError(f"scoring must be 'additive' or 'dot', got {scoring!r}")
        if feedback not in ("words", "state"):
            raise ValueError(f"feedback must be 'words' or 'state', got {feedback!r}")
        weights = {"teacher_weight": teacher_weight, "cycle_weight": cycle_weight, "doubly_weight": doubly_weight}
        for name, value in (weights | {"revisions": revisions}).items():
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be at least 0 and finite, got {value}")
        if revisions != int(revisions):
            raise ValueError(f"revisions must be whole, got {revisions}")
        if hard and (revisions or any(weights.values())):
            raise ValueError("hard attention has nothing to revise or to teach: set revisions and the weights to 0")
        self.extras = {"scoring": scoring, "gate": gate, "hard": hard, "revisions": revisions, "feedback": feedback}
        self.extras |= weights | {"cycle_holds": cycle_holds}
        super().__init__(vocabulary_size, feature_size, hidden_size, embedding_size, dropout, cell, generator)

    def _layers(self) -> list[nn.Linear]:
        H = self.hidden_size
        self.value = nn.Linear(self.feature_size, H)  # v_i
        self.key = nn.Linear(H, H, bias=False)  # W_k
        self.query = nn.Linear(H, H)  # W_q
        self.combine = nn.Linear(2 * H, H)  # W_c
        made = [self.value, self.key, self.query, self.combine]
        if self.extras["scoring"] == "additive":
            self.energy = nn.Linear(H, 1, bias=False)  # w
            made.append(self.energy)
        if self.extras["gate"]:
            self.gate = nn.Linear(H, 1)
            made.append(self.gate)
        if self.extras["revisions"] or self.extras["cycle_weight"]:
            self.back = nn.Linear(self.embedding_size, H, bias=False)  # U
            made.append(self.back)
        if self.extras["revisions"]:
            self.gamma = nn.Parameter(torch.zeros(()))
            if self.extras["feedback"] == "state":
                self.as_words = nn.Linear(H, self.embedding_size)
                made.append(self.as_words)
        if self.extras["hard"]:
            self.register_buffer("baseline", torch.zeros(()))
        return made

    def config_dict(self) -> dict:
        """The configuration, ready for JSON."""
        return super().config_dict() | self.extras

    # what is seen

    def _see(self, regions: Tensor) -> Seen:
        """Each picture's regions; those of zeros are none: a store writes zeros where it pads."""
        mask = (regions != 0).any(-1)
        mask[:, 0] = True
        values = self.drop(torch.relu(self.value(self._standard(regions))))
        return Seen(values, self.key(values), mask)

    def initial_state(self, features: Float[Tensor, "images regions d"]) -> State:
        """What the first step starts from: the whole picture (region 0), and all regions to look at.

        Args:
            features: of each picture's regions, zeros where padded; float.

        Raises:
            ValueError: for features of another size, or with NaN or infinity.
        """
        if features.ndim != 3 or features.shape[2] != self.feature_size or not features.shape[1]:
            raise ValueError(
                f"this model takes features of shape (images, regions, {self.feature_size}), "
                f"got {tuple(features.shape)}"
            )
        if not features.isfinite().all():
            bad = int((~features.flatten(1).isfinite().all(1)).nonzero()[0])
            raise ValueError(f"the features of picture {bad} of the batch hold NaN or infinity: extract them again")
        return (*self._begin(features[:, 0]), *self._see(features))

    # where it looks

    def _energies(self, hidden: Tensor, seen: Seen) -> Float[Tensor, "positions regions"]:
        query = self.query(hidden)[:, None]  # (positions, 1, H)
        if self.extras["scoring"] == "additive":
            z = self.energy(torch.tanh(query + seen.keys))[..., 0]
        else:
            z = (query * seen.keys).sum(-1) / math.sqrt(self.hidden_size)
        return z.masked_fill(~seen.mask, -torch.inf)

    def _choose(self, alpha: Tensor) -> Tensor:
        """How much each region counts: alpha itself, or a single one of them."""
        if not self.extras["hard"]:
            return alpha
        chosen = torch.multinomial(alpha, 1)[:, 0] if self.training else alpha.argmax(1)
        return nn.functional.one_hot(chosen, alpha.shape[1]).to(alpha)

    def _predict(
        self, hidden: Tensor, values: Tensor, counts: Tensor, held: bool = False
    ) -> Float[Tensor, "positions V"]:
        layer = _held if held else operator.call
        context = (counts[:, None] @ values)[:, 0]  # (positions, H)
        if self.extras["gate"]:
            context = context * layer(self.gate, hidden).sigmoid()
        return layer(self.output, self.drop(torch.tanh(layer(self.combine, torch.cat([hidden, context], 1)))))

    def _fed_back(self, hidden: Tensor, logits: Tensor) -> Float[Tensor, "positions E"]:
        """q_t: the expected word, or what stands in for it."""
        if self.extras["feedback"] == "state":
            return self.as_words(hidden)
        return logits.softmax(1) @ self.embedding.weight[: self.vocabulary_size]

    def looks(self, hidden: Float[Tensor, "positions H"], seen: Seen) -> list[Look]:
        """All passes over the regions, the first one unrevised.

        Args:
            hidden: h_t.
            seen: the regions of each position's picture.
        """
        energies = self._energies(hidden, seen)
        passes: list[Look] = []
        for number in range(1 + self.extras["revisions"]):
            z = energies
            if number:
                words = self.back(self._fed_back(hidden, passes[-1].logits))  # U q_t
                z = energies + self.gamma * (seen.values @ words[..., None])[..., 0]
            log_alpha = z.log_softmax(1)
            counts = self._choose(log_alpha.exp())
            passes.append(Look(log_alpha, counts, self._predict(hidden, seen.values, counts)))
        return passes

    def step(self, state: State, tokens: Int[Tensor, " images"]) -> tuple[Float[Tensor, "images V"], State]:
        """log y_t of the last pass, and the state after it; as the multimodal RNN's."""
        inner, seen = state[:-3], Seen(*state[-3:])
        hidden, inner = self._advance(self.input(self.drop(self.embedding(tokens))), inner)
        return self.looks(hidden, seen)[-1].logits.log_softmax(1), (*inner, *seen)

    # training

    def _positions(self, regions: Tensor, tokens: Tensor, word_mask: Tensor) -> tuple[Tensor, Seen, Tensor, Tensor]:
        """Of each real position its h_t, what there is to look at, its sentence and its step."""
        hidden, sentences, steps = self._hidden(regions[:, 0], tokens, word_mask)
        return hidden, self._see(regions).of(sentences), sentences, steps

    def mean_loss(
        self,
        features: Float[Tensor, "images regions d"],
        tokens: Int[Tensor, "images words"],
        word_mask: Bool[Tensor, "images words"],
    ) -> Float[Tensor, ""]:
        """Mean cross entropy of a word by the last pass; its exponential is the perplexity."""
        hidden, seen, sentences, steps = self._positions(features, tokens, word_mask)
        logits = self.looks(hidden, seen)[-1].logits
        return nn.functional.cross_entropy(logits, _targets(tokens, word_mask)[sentences, steps])

    def forward(
        self,
        features: Float[Tensor, "images regions d"],
        tokens: Int[Tensor, "images words"],
        word_mask: Bool[Tensor, "images words"],
    ) -> Float[Tensor, "images steps V"]:
        """Logits of every step by the last pass; as the multimodal RNN's."""
        hidden, seen, sentences, steps = self._positions(features, tokens, word_mask)
        logits = hidden.new_zeros(len(tokens), tokens.shape[1] + 1, self.vocabulary_size)
        return logits.index_put((sentences, steps), self.looks(hidden, seen)[-1].logits)

    def attention(
        self,
        features: Float[Tensor, "images regions d"],
        tokens: Int[Tensor, "images words"],
        word_mask: Bool[Tensor, "images words"],
        revision: int = -1,
    ) -> Float[Tensor, "images words regions"]:
        """alpha of each true word, where the model looks before it says it; of the last pass, or of another one.

        Zeros where padded.
        """
        hidden, seen, sentences, steps = self._positions(features, tokens, word_mask)
        alpha = self.looks(hidden, seen)[revision].alpha
        found = alpha.new_zeros(len(tokens), tokens.shape[1] + 1, alpha.shape[1])
        return found.index_put((sentences, steps), alpha)[:, :-1] * word_mask[..., None]

    def products(self, batch: Batch) -> Float[Tensor, "pairs words regions"]:
        """log alpha, in place of an alignment's products: so attention is judged as an alignment is."""
        return log_attention(self.attention(batch.regions, batch.tokens, batch.word_mask))

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """The loss above, of a batch with all its regions."""
        hidden, seen, sentences, steps = self._positions(batch.regions, batch.tokens, batch.word_mask)
        passes = self.looks(hidden, seen)
        targets = _targets(batch.tokens, batch.word_mask)[sentences, steps]
        entropies = [nn.functional.cross_entropy(one.logits, targets, reduction="none") for one in passes]
        total = torch.stack([one.mean() for one in entropies]).mean()
        if self.extras["hard"]:
            total = total + self._reinforce(passes[0], -entropies[0].detach())
        if self.extras["cycle_weight"]:
            total = total + self.extras["cycle_weight"] * self._reconstruction(passes[-1], hidden, seen, targets)
        total = total * share_of_all(batch.word_mask.sum() + len(batch))  # so far, means over words and END
        if self.extras["doubly_weight"]:
            total = total + self.extras["doubly_weight"] * self._unevenness(passes[-1].alpha, batch, sentences, steps)
        if self.extras["teacher_weight"] and isinstance(batch, TaughtBatch):
            total = total + self.extras["teacher_weight"] * self._taught(passes[-1].log_alpha, batch, sentences, steps)
        return total

    def _reinforce(self, look: Look, reward: Tensor) -> Tensor:
        """Its gradient is that of the expected reward, log p of the true word, over what is looked at; negative."""
        log_alpha = look.log_alpha.gather(1, look.counts.argmax(1, keepdim=True))[:, 0]
        advantage = reward - self.baseline
        if self.training:
            self.baseline.mul_(0.9).add_(0.1 * reward.mean())
        surrogate = -(advantage * log_alpha).mean()
        return surrogate - surrogate.detach()  # worth nothing itself: the loss stays the cross entropy

    def _unevenness(self, alpha: Tensor, batch: Batch, sentences: Tensor, steps: Tensor) -> Tensor:
        """The doubly stochastic term: every region is to be looked at for T/R of the words."""
        words = steps < batch.word_mask.sum(1)[sentences]  # END looks at nothing
        looked = alpha.new_zeros(len(batch), alpha.shape[1]).index_add(0, sentences[words], alpha[words])
        real = batch.region_mask
        even = batch.word_mask.sum(1, keepdim=True) / real.sum(1, keepdim=True)  # T / R
        apart = ((even - looked).square() * real).sum(1).mean()
        return apart * share_of_all(torch.tensor(len(batch), device=alpha.device))

    def _reconstruction(self, look: Look, hidden: Tensor, seen: Seen, targets: Tensor) -> Tensor:
        """The cycle: from the emitted word to a region, and from that to the true word, with the same layers."""
        found = self.found_again(look.logits.argmax(1, keepdim=True), seen)[:, 0]  # (positions, regions)
        held = self.extras["cycle_holds"]
        logits = self._predict(hidden.detach() if held else hidden, seen.values, found, held)
        return nn.functional.cross_entropy(logits, targets)

    def found_again(self, tokens: Int[Tensor, "rows words"], seen: Seen) -> Float[Tensor, "rows words regions"]:
        """alpha^c: where words are, asked by nothing but their vectors; of a model with the cycle."""
        z = self.back(self.embedding(tokens)) @ seen.values.mT
        return z.masked_fill(~seen.mask[:, None], -torch.inf).softmax(-1)

    def _taught(self, log_alpha: Tensor, batch: TaughtBatch, sentences: Tensor, steps: Tensor) -> Tensor:
        """Mean KL(beta_t || alpha_t) over the words that the teacher speaks of."""
        spoken = nn.functional.pad(batch.attention_mask, (0, 1))[sentences, steps]
        beta = batch.attention[sentences[spoken], steps[spoken]]  # (words, regions)
        log_alpha = log_alpha[spoken].masked_fill(beta == 0, 0)  # 0 log 0 is 0
        apart = nn.functional.kl_div(log_alpha, beta, reduction="none").sum(1)
        return apart.sum() / spoken.sum().clamp(min=1) * share_of_all(spoken.sum())


def _held(layer: nn.Linear, x: Tensor) -> Tensor:
    """A layer as it is: the gradient goes through it, not to it."""
    return nn.functional.linear(x, layer.weight.detach(), layer.bias.detach())


def log_attention(alpha: Float[Tensor, "*rows regions"]) -> Float[Tensor, "*rows regions"]:
    """log alpha, finite where alpha is 0."""
    return alpha.clamp(min=torch.finfo(alpha.dtype).tiny).log()
