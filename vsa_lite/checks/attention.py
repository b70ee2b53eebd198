"""Self-checks of chapter 13: attention, the doubly stochastic regulariser, and REINFORCE.

Each tries your function on random input beside a right one. Where your answer is one of the usual mistakes, the error
says which; a function that raises NotImplementedError is still to be written, and that is no error.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vsa_lite.checks import self_check
from vsa_lite.checks.comparing import compare, ragged, vectors


def _attend(h: Tensor, v: Tensor, mask: Tensor, W_q: Tensor, W_k: Tensor, w: Tensor, blank: float = -torch.inf):
    energies = torch.tanh((h @ W_q.T)[:, None] + v @ W_k.T) @ w
    alpha = energies.masked_fill(~mask, blank).softmax(1)
    return alpha, (alpha[..., None] * v).sum(1)


@self_check
def check_attend(yours: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]) -> None:
    """`yours(h, v, mask, W_q, W_k, w)`: alpha [states, regions], c [states, H] of energies w . tanh(W_q h + W_k v)."""
    generator, cases = torch.Generator().manual_seed(0), []
    for states, regions, H in ((3, 4, 5), (1, 2, 3), (4, 6, 2)):
        v = vectors(generator, states, regions, H)
        mask = ragged(generator, states, regions)
        parts = vectors(generator, H, H), vectors(generator, H, H) + 0.3, vectors(generator, H)
        cases.append((vectors(generator, states, H), v, mask, *parts))

    def afterwards(h: Tensor, v: Tensor, mask: Tensor, *parts: Tensor):
        alpha = _attend(h, v, torch.ones_like(mask), *parts)[0] * mask
        return alpha, (alpha[..., None] * v).sum(1)

    def over_states(h: Tensor, v: Tensor, mask: Tensor, W_q: Tensor, W_k: Tensor, w: Tensor):
        energies = torch.tanh((h @ W_q.T)[:, None] + v @ W_k.T) @ w
        alpha = energies.masked_fill(~mask, -1e9).softmax(0)
        return alpha, (alpha[..., None] * v).sum(1)

    def linear(h: Tensor, v: Tensor, mask: Tensor, W_q: Tensor, W_k: Tensor, w: Tensor):
        energies = ((h @ W_q.T)[:, None] + v @ W_k.T) @ w
        alpha = energies.masked_fill(~mask, -torch.inf).softmax(1)
        return alpha, (alpha[..., None] * v).sum(1)

    def averaged(h: Tensor, v: Tensor, mask: Tensor, *parts: Tensor):
        alpha, c = _attend(h, v, mask, *parts)
        return alpha, c / mask.sum(1, keepdim=True)

    def transposed(h: Tensor, v: Tensor, mask: Tensor, W_q: Tensor, W_k: Tensor, w: Tensor):
        return _attend(h, v, mask, W_q.T, W_k.T, w)

    def hard(h: Tensor, v: Tensor, mask: Tensor, *parts: Tensor):
        alpha = _attend(h, v, mask, *parts)[0]
        return alpha, v[torch.arange(len(v)), alpha.argmax(1)]

    mistakes = [
        (lambda h, v, m, *p: _attend(h, v, torch.ones_like(m), *p), "padded regions were looked at: mask the energies"),
        (afterwards, "you masked after the softmax: what is left does not add up to 1"),
        (lambda *a: _attend(*a, blank=0.0), "an energy of 0 is still looked at: mask with minus infinity"),
        (over_states, "the softmax runs over the wrong axis: one state's regions add up to 1"),
        (linear, "the tanh is missing: without it the state adds the same to every energy, and changes nothing"),
        (averaged, "alpha is a mean already: do not divide by the number of regions"),
        (transposed, "W_q and W_k are transposed: W h of a column is h W^T of a row"),
        (hard, "c is the sum of all regions with their weights, not the best region alone"),
        (lambda *a: _attend(*a)[::-1], "alpha first, then c"),
    ]
    compare(yours, "attention", cases, _attend, mistakes)


def _unevenness(alpha: Tensor, target: float) -> Tensor:
    return (target - alpha.sum(0)).square().sum()


@self_check
def check_unevenness(yours: Callable[[Tensor, float], Tensor]) -> None:
    """`yours(alpha, target)`: the doubly stochastic term of alpha [words, regions]."""
    generator = torch.Generator().manual_seed(1)
    cases = [
        (vectors(generator, words, regions).softmax(1), target)
        for words, regions, target in ((6, 8, 0.75), (3, 2, 1.5), (5, 7, 1.0))
    ]
    mistakes = [
        (
            lambda a, g: (g - a.sum(1)).square().sum(),
            "you summed over regions: that is 1 for every word; sum over words",
        ),
        (lambda a, g: (g - a).square().sum(), "sum the attention over words before you compare"),
        (lambda a, g: (g - a.sum(0)).abs().sum(), "squared, not absolute, distances"),
        (lambda a, g: _unevenness(a, g) / a.shape[1], "the sum over regions, not their mean"),
        (lambda a, g: (g - a.mean(0)).square().sum(), "the sum over words, not their mean"),
        (lambda a, g: _unevenness(a, 1.0), "you used target 1: it is given"),
        (lambda a, g: (g - a.sum(0)).sum().square(), "square each region's distance, then sum"),
    ]
    compare(yours, "unevenness", cases, _unevenness, mistakes, trained=0)


@self_check
def check_reinforce(yours: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    """`yours(log_alpha, chosen, reward, baseline)`: a loss whose gradient in log_alpha is REINFORCE's."""
    generator, cases = torch.Generator().manual_seed(2), []
    for draws, regions in ((5, 3), (1, 4), (8, 2)):
        chosen = torch.randint(regions, (draws,), generator=generator)
        reward = -vectors(generator, draws).abs()
        cases.append((vectors(generator, draws, regions).log_softmax(1), chosen, reward, reward.mean() - 0.2))

    def gradients(function: Callable) -> Callable:
        """The gradients that a loss sends to log alpha, and to the reward, which must get none."""

        def of(log_alpha: Tensor, chosen: Tensor, reward: Tensor, baseline: Tensor) -> Tensor:
            log_alpha, reward = log_alpha.clone().requires_grad_(), reward.clone().requires_grad_()
            loss = function(log_alpha, chosen, reward, baseline)
            if not isinstance(loss, Tensor) or loss.shape != () or not loss.requires_grad:
                raise AssertionError("the loss must be one number with a gradient: a mean over the draws")
            found = torch.autograd.grad(loss, [log_alpha, reward], allow_unused=True)
            parts = [torch.zeros_like(x) if g is None else g for g, x in zip(found, (log_alpha, reward), strict=True)]
            return torch.cat([part.flatten() for part in parts])

        return of

    def right(log_alpha: Tensor, chosen: Tensor, reward: Tensor, baseline: Tensor) -> Tensor:
        return -((reward - baseline).detach() * log_alpha.gather(1, chosen[:, None])[:, 0]).mean()

    mistakes = [
        (gradients(lambda a, i, r, b: -right(a, i, r, b)), "the sign: a loss falls where the reward rises"),
        (gradients(lambda a, i, r, b: right(a, i, r, torch.zeros(()))), "the baseline is not in it"),
        (
            gradients(lambda a, i, r, b: -((r - b) * a.gather(1, i[:, None])[:, 0]).mean()),
            "the reward gets a gradient: detach it",
        ),
        (gradients(lambda a, i, r, b: right(a, i, r, b) * len(a)), "the mean over draws, not their sum"),
        (
            gradients(lambda a, i, r, b: -((r - b).detach() * a.exp().gather(1, i[:, None])[:, 0]).mean()),
            "log alpha, not alpha, goes with the reward: the draw has weighted it by alpha already",
        ),
        (
            gradients(lambda a, i, r, b: -((r - b).detach()[:, None] * a).sum(1).mean()),
            "only the region that was drawn is rewarded",
        ),
        (
            gradients(lambda a, i, r, b: right(a, a.argmax(1), r, b)),
            "reward the region that was drawn, not the likeliest",
        ),
    ]
    compare(gradients(yours), "REINFORCE", cases, gradients(right), mistakes)
