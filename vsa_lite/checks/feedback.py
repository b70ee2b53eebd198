"""Self-checks of chapter 14: the teacher's loss, and the revision by words.

Each tries your function on random input beside a right one. Where your answer is one of the usual mistakes, the error
says which; a function that raises NotImplementedError is still to be written, and that is no error.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vsa_lite.checks import self_check
from vsa_lite.checks.comparing import compare, vectors


def _distances(alpha: Tensor, beta: Tensor) -> Tensor:
    """KL(beta || alpha) of each word; 0 log 0 is 0."""
    tiny = torch.finfo(alpha.dtype).tiny
    return (beta * (beta.clamp(min=tiny).log() - alpha.clamp(min=tiny).log())).sum(-1)


@self_check
def check_teacher_loss(yours: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    """`yours(alpha, beta, mask)`: mean KL(beta || alpha) over words with a True mask; alpha [pairs, words, regions]."""
    generator, cases = torch.Generator().manual_seed(0), []
    for pairs, words, regions in ((3, 4, 5), (1, 6, 2), (4, 3, 7)):
        alpha, beta = (vectors(generator, pairs, words, regions).softmax(-1) for _ in range(2))
        beta[0, 0] = 0
        beta[0, 0, 1] = 1  # a teacher who is quite sure: 0 log 0
        mask = torch.rand(pairs, words, generator=generator) > 0.4
        mask[0, 0], mask[-1, -1] = True, False
        cases.append((alpha, beta, mask))

    def right(alpha: Tensor, beta: Tensor, mask: Tensor) -> Tensor:
        return _distances(alpha, beta)[mask].mean()

    def cross_entropy(alpha: Tensor, beta: Tensor, mask: Tensor) -> Tensor:
        return -(beta * alpha.log()).sum(-1)[mask].mean()

    mistakes = [
        (lambda a, b, m: right(b, a, m), "turned around: this is KL(alpha || beta)"),
        (lambda a, b, m: _distances(a, b).mean(), "words that the teacher does not speak of count: use the mask"),
        (lambda a, b, m: (_distances(a, b) * m).mean(), "divide by the number of words spoken of, not by all words"),
        (lambda a, b, m: right(a, b, m) * m.sum(), "the mean over words, not their sum"),
        (lambda a, b, m: -right(a, b, m), "the sign: a distance is at least 0"),
        (cross_entropy, "that is the cross entropy: log beta is missing"),
        (
            lambda a, b, m: (b * (b / a).log()).sum(-1)[m].mean().nan_to_num(),
            "0 log 0 became NaN: where beta is 0 nothing is to be added",
        ),
        (lambda a, b, m: right(a, b, m) / a.shape[-1], "the sum over regions, not their mean"),
        (lambda a, b, m: _distances(a, b)[m], "you have the words' distances: take their mean"),
    ]
    compare(yours, "the teacher's loss", cases, right, mistakes, trained=0)


def _revise(z: Tensor, v: Tensor, log_y: Tensor, W: Tensor, U: Tensor, gamma: Tensor) -> Tensor:
    return z + gamma * (v * (log_y.exp() @ W @ U.T)[:, None]).sum(-1)


@self_check
def check_revise(yours: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """`yours(energies, v, log_y, word_vectors, U, gamma)`: energies [states, regions] after the words went back."""
    generator, cases = torch.Generator().manual_seed(1), []
    for states, regions, V, E, H in ((3, 4, 6, 5, 5), (1, 2, 3, 4, 4), (5, 3, 7, 2, 4)):
        log_y = vectors(generator, states, V).log_softmax(1)
        parts = vectors(generator, V, E), vectors(generator, H, E), vectors(generator, 1)[0]
        cases.append((vectors(generator, states, regions), vectors(generator, states, regions, H), log_y, *parts))
    mistakes = [
        (lambda z, v, y, W, U, g: _revise(z, v, y, W, U, torch.ones_like(g)), "gamma is not in it"),
        (lambda z, v, y, W, U, g: _revise(0 * z, v, y, W, U, g), "the first energies are lost: add to them"),
        (
            lambda z, v, y, W, U, g: z + g * (v * (y @ W @ U.T)[:, None]).sum(-1),
            "log y is not y: the expected word needs probabilities",
        ),
        (
            lambda z, v, y, W, U, g: z + g * (v * (W[y.argmax(1)] @ U.T)[:, None]).sum(-1),
            "you sent the likeliest word back; the expected one is a mean over all words",
        ),
        (lambda z, v, y, W, U, g: _revise(z, v, y, W, U.T, g), "U is transposed: U q of a column is q U^T of a row"),
        (lambda z, v, y, W, U, g: _revise(z, v, y, W, U, g).softmax(1), "energies, please: the softmax comes after"),
        (
            lambda z, v, y, W, U, g: g * z + (v * (y.exp() @ W @ U.T)[:, None]).sum(-1),
            "gamma scales what the words add, not the first energies",
        ),
    ]
    compare(yours, "the revision", cases, _revise, mistakes)
