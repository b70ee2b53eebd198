"""From a trained model to words: greedy, sampled, and by beam search (chapter 11).

All three run over the whole batch at once, less what has ended; the only loop is over the words of a sentence. They
work with any model that has `vocabulary_size`, `start`, `initial_state(features)` and `step(state, tokens)` like
:class:`~vsa_lite.captioning.rnn.MultimodalRNN`, and run it without dropout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vsa_lite.captioning.rnn import END, MultimodalRNN


@dataclass(frozen=True)
class Captions:
    """One sentence for each picture.

    Attributes:
        tokens: word indices of each sentence, without END.
        log_probability: natural logarithm of each sentence's probability: the sum over its words, and over END unless
            the sentence was cut at the greatest length.
        n_best: where asked for, the best, second best, ... sentence of each picture; the first is this one.
    """

    tokens: list[list[int]]
    log_probability: Float[Tensor, " images"]
    n_best: tuple[Captions, ...] = ()

    def __len__(self) -> int:
        return len(self.tokens)


def greedy(model: MultimodalRNN, features: Float[Tensor, "images ..."], max_length: int = 20) -> Captions:
    """Take the most probable word at every step; among equals the one with the lower index.

    Args:
        model: the trained model; one with attention is given all regions of each picture.
        features: CNN(I) of each picture, or of each region; float.
        max_length: greatest number of words; a sentence that has not ended by then is cut.

    Raises:
        ValueError: for a max_length below 1, or features that the model refuses.
    """
    return _write(model, features, max_length, lambda log_probabilities: log_probabilities.argmax(1))


def sample(
    model: MultimodalRNN,
    features: Float[Tensor, "images ..."],
    generator: torch.Generator,
    temperature: float = 1.0,
    max_length: int = 20,
) -> Captions:
    r"""Draw every word with its probability, :math:`w_t \sim y_t^{1/\tau} / \sum y_t^{1/\tau}`.

    Args:
        model, features, max_length: as for :func:`greedy`.
        generator: of the draws, on the features' device.
        temperature: tau; below 1 nearer to greedy, above 1 more varied.

    Returns:
        The sentences; their log probability is the model's own, whatever the temperature.

    Raises:
        ValueError: as :func:`greedy`, and for a temperature that is not above 0.
    """
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be above 0 and finite, got {temperature}; for the most probable use greedy")

    def draw(log_probabilities: Tensor) -> Tensor:
        probabilities = (log_probabilities / temperature).softmax(1)
        return torch.multinomial(probabilities, 1, generator=generator)[:, 0]

    return _write(model, features, max_length, draw, every=True)


def beam_search(
    model: MultimodalRNN,
    features: Float[Tensor, "images ..."],
    beam_size: int = 7,
    max_length: int = 20,
    length_normalisation: float = 0.0,
    n_best: int = 1,
) -> Captions:
    r"""Keep the best few beginnings of each sentence, and go on from all of them.

    A finished sentence stays in its beam, unchanged, for as long as its log probability holds against the others, as in
    neuraltalk. With beam_size 1 this is :func:`greedy`, exactly. A wider beam mostly finds more probable sentences, but
    nothing guarantees it: the greedy beginning may fall out of the beam early and be the better one in the end.

    Args:
        model, features, max_length: as for :func:`greedy`.
        beam_size: beginnings kept, from 1 to the size of the vocabulary; 7 in the paper.
        length_normalisation: alpha; sentences compete by log probability / length^alpha, END counted in the length. 0,
            as in the paper, favours short sentences; 1 is the mean per word.
        n_best: also return this many sentences of each picture, at most beam_size.

    Returns:
        The best sentence of each picture; `log_probability` is not normalised.

    Raises:
        ValueError: as :func:`greedy`, and for a beam_size, length_normalisation or n_best out of range.
    """
    if not 1 <= beam_size <= model.vocabulary_size:
        rule = "at least 1" if beam_size < 1 else f"at most {model.vocabulary_size}, the size of the vocabulary"
        raise ValueError(f"beam_size must be {rule}, got {beam_size}")
    if not 1 <= n_best <= beam_size:
        raise ValueError(f"n_best must be from 1 to beam_size ({beam_size}), got {n_best}")
    if not 0 <= length_normalisation < float("inf"):
        raise ValueError(f"length_normalisation must be at least 0 and finite, got {length_normalisation}")
    with _decoding(model, max_length):
        found, scores = _search(model, features, beam_size, max_length, length_normalisation, n_best)
    ranks = tuple(Captions(_sentences(found[:, k]), scores[:, k]) for k in range(n_best))
    return Captions(ranks[0].tokens, ranks[0].log_probability, ranks if n_best > 1 else ())


def _search(
    model: MultimodalRNN, features: Tensor, beam_size: int, max_length: int, alpha: float, n_best: int
) -> tuple[Int[Tensor, "images beams words"], Float[Tensor, "images beams"]]:
    """The beams of every picture after the last step, best first: their words, END behind the end, and log P."""
    state = model.initial_state(features)  # of the beams that are not finished, in order: only they take a step
    images, K = len(state[0]), beam_size
    device, dtype = state[0].device, state[0].dtype
    found = torch.full((images, K, max_length), END, device=device)
    total = torch.full((images, K), -torch.inf, dtype=dtype, device=device)
    searched = torch.arange(images, device=device)  # pictures not finished; what follows is about these
    scores = torch.full((images, K), -torch.inf, dtype=dtype, device=device)
    scores[:, 0] = 0.0
    ended = torch.ones(images, K, dtype=torch.bool, device=device)
    ended[:, 0] = False  # at first all beams would be the same: only one is there
    lengths = torch.zeros(images, K, dtype=torch.int64, device=device)
    history = torch.full((images, K, max_length), END, device=device)
    words = torch.full((images,), model.start, device=device)
    as_it_is = torch.full((K,), -torch.inf, dtype=dtype, device=device)
    as_it_is[0] = 0.0  # a finished sentence has one continuation: itself
    for t in range(max_length):
        log_probabilities, state = model.step(state, words)  # (going, V)
        going = (~ended).flatten()
        row = going.cumsum(0) - 1  # where a beam stands among those that took a step
        gain, word = _top(log_probabilities, K)
        gains = as_it_is.to(gain).repeat(len(row), 1).index_put((going,), gain)  # (pictures * K, K)
        words = torch.full(gains.shape, END, device=device).index_put((going,), word).view(-1, K * K)
        candidates = (scores[..., None] + gains.view(-1, K, K)).flatten(1)  # (pictures, K * K)
        lengths = lengths + ~ended
        rank = candidates / (lengths.repeat_interleave(K, 1) ** alpha) if alpha else candidates
        chosen = rank.argsort(dim=1, descending=True, stable=True)[:, :K]  # (pictures, K)
        parent = chosen // K
        scores = candidates.gather(1, chosen)
        words = words.gather(1, chosen)  # (pictures, K)
        history = history.gather(1, parent[..., None].expand_as(history))
        history[..., t] = words
        lengths = lengths.gather(1, parent)
        ended = ended.gather(1, parent) | (words == END)
        # log probabilities only fall: once the best are finished, nothing overtakes them, unless long ones are helped
        finished = (ended if alpha else ended[:, :n_best]).all(1)
        if t + 1 == max_length:
            finished = torch.ones_like(finished)
        found[searched[finished]] = history[finished]
        total = total.to(scores).index_put((searched[finished],), scores[finished])
        kept = ~finished
        parent = row.view(-1, K).gather(1, parent)[kept]  # rows of the state
        searched, scores, ended, lengths, history, words = (
            part[kept] for part in (searched, scores, ended, lengths, history, words)
        )
        if not len(searched):
            break
        state = tuple(part[parent[~ended]] for part in state)
        words = words[~ended]
    return found, total


def _top(values: Float[Tensor, "rows n"], k: int) -> tuple[Float[Tensor, "rows k"], Int[Tensor, "rows k"]]:
    """The k largest of each row, largest first; among equals the lower index, as in argmax (topk promises nothing)."""
    best, index = values.topk(min(k + 1, values.shape[1]), dim=1)
    if best.shape[1] > k and (best[:, k - 1] == best[:, k]).any():  # equals on both sides of the cut
        best, index = values.sort(dim=1, descending=True, stable=True)
        return best[:, :k], index[:, :k]
    index = index[:, :k].sort(dim=1).values
    best, order = values.gather(1, index).sort(dim=1, descending=True, stable=True)
    return best, index.gather(1, order)


def _write(
    model: MultimodalRNN, features: Tensor, max_length: int, choose: Callable[[Tensor], Tensor], every: bool = False
) -> Captions:
    """Word by word, each chosen from the log probabilities [images, V] of the next.

    Only sentences that have not ended take a step; with `every`, all do, so that draws do not depend on who has ended.
    """
    with _decoding(model, max_length):
        state = model.initial_state(features)
        total = state[0].new_zeros(len(state[0]))
        written = torch.full((len(total), max_length), END, device=total.device)
        going = torch.arange(len(total), device=total.device)
        ended = torch.zeros_like(going, dtype=torch.bool)
        words = torch.full_like(going, model.start)
        for t in range(max_length):
            log_probabilities, state = model.step(state, words)  # (going, V)
            words = choose(log_probabilities).masked_fill(ended[going], END)
            written[going, t] = words
            total[going] += log_probabilities.gather(1, words[:, None])[:, 0].masked_fill(ended[going], 0)
            ended[going] = words == END
            if ended.all():
                break
            if not every:
                on = words != END
                going, words, state = going[on], words[on], tuple(part[on] for part in state)
    return Captions(_sentences(written), total)


def _sentences(tokens: Int[Tensor, "images words"]) -> list[list[int]]:
    """Lists of indices, each up to its END."""
    return [row[: row.index(END)] if END in row else row for row in tokens.tolist()]


@contextmanager
def _decoding(model: MultimodalRNN, max_length: int) -> Iterator[None]:
    """No gradients and no dropout; afterwards the model is in the mode that it was in."""
    if max_length < 1:
        raise ValueError(f"max_length must be at least 1, got {max_length}")
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
