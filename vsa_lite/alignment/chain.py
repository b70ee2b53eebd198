r"""From products of words and regions to one region for every word: a chain that likes to stay (chapter 9).

Alone, every word takes its best region, and neighbouring words scatter. The chain adds a reward beta for each pair of
neighbours on the same region; runs of equal regions are then the snippets of the sentence.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@torch.no_grad()
def relative_beta(
    unary: Float[Tensor, "sentences words regions"],
    word_mask: Bool[Tensor, "sentences words"],
    region_mask: Bool[Tensor, "sentences regions"],
    beta: float,
) -> Float[Tensor, " sentences"]:
    """beta in units of each sentence's own spread: times the standard deviation of its real products u.

    Scores have no natural size, so an absolute beta means something else in every model. A sentence whose products
    are all equal has spread 0, and any path through it is as good as another. It is a unit of measure: no gradient
    flows through it.

    Raises:
        ValueError: for a beta below 0, or one that is not finite.
    """
    if not 0 <= beta < float("inf"):
        raise ValueError(f"beta must be at least 0 and finite, got {beta}")
    real = word_mask[..., None] & region_mask[:, None]  # (sentences, words, regions)
    n = real.sum((1, 2)).clamp(min=1)
    u = unary.masked_fill(~real, 0)
    mean = u.sum((1, 2)) / n
    variance = ((u - mean[:, None, None]).square() * real).sum((1, 2)) / n
    return beta * variance.sqrt()


def _check(unary: Tensor, word_mask: Tensor, region_mask: Tensor, beta: float | Tensor) -> Tensor:
    sentences, words, regions = unary.shape
    if word_mask.shape != (sentences, words) or region_mask.shape != (sentences, regions):
        raise ValueError(
            f"the masks must fit products of shape {tuple(unary.shape)}, got {tuple(word_mask.shape)} and "
            f"{tuple(region_mask.shape)}"
        )
    for name, mask in (("word", word_mask), ("region", region_mask)):
        empty = (~mask.any(1)).nonzero().flatten().tolist()
        if empty:
            raise ValueError(f"sentence {empty[0]} has no {name}: leave it out of the batch")
    if (word_mask[:, 1:] & ~word_mask[:, :-1]).any():
        raise ValueError("words must be padded on the right: word_mask has a real word behind a padded one")
    broken = []
    if not unary.sum().isfinite():  # somewhere, in the padding perhaps
        broken = (word_mask[..., None] & region_mask[:, None] & ~unary.isfinite()).nonzero().tolist()
    if broken:
        k, t, i = broken[0]
        raise ValueError(
            f"the product of word {t} with region {i} in sentence {k} is {float(unary[k, t, i])}: check the features"
        )
    beta = torch.as_tensor(beta, dtype=unary.dtype, device=unary.device)
    if beta.shape not in ((), (sentences,)):
        raise ValueError(f"beta must be one number or one for each of {sentences} sentences, got {tuple(beta.shape)}")
    beta = beta.expand(sentences)
    wrong = ~((beta >= 0) & beta.isfinite())
    if wrong.any():
        raise ValueError(f"beta must be at least 0 (a reward for staying) and finite, got {float(beta[wrong][0])}")
    return beta[:, None]


def best_path(
    unary: Float[Tensor, "sentences words regions"],
    word_mask: Bool[Tensor, "sentences words"],
    region_mask: Bool[Tensor, "sentences regions"],
    beta: float | Float[Tensor, " sentences"],
) -> tuple[Int[Tensor, "sentences words"], Float[Tensor, " sentences"]]:
    r"""The path a_1 .. a_N that maximises :math:`\sum_j u_{j a_j} + \beta \sum_j [a_j = a_{j+1}]`.

    In O(N M) a sentence, since leaving a region costs the same wherever one goes:
    :math:`F_j(i) = u_{ji} + \max(F_{j-1}(i) + \beta, \max_{i'} F_{j-1}(i'))`. beta = 0 gives each word its best region,
    a large beta one region to the whole sentence. (The paper prints the same as an energy to be minimised, with both
    terms as rewards.) Among equals the chain stays, and then takes the lower index.

    Args:
        unary: u, the products v_i . s_t of each sentence with its own picture's regions; float.
        word_mask: True where a word is real, padding on the right.
        region_mask: True where a region is real.
        beta: reward of staying, at least 0, one for all or one a sentence; see :func:`relative_beta`.

    Returns:
        The path, zeros where padded (int64), and its value.

    Raises:
        ValueError: for masks that do not fit, a sentence without a word or a region, products or a beta that are not
            finite, or a beta below 0.

    Source: Karpathy and Fei-Fei 2015, section 3.1.4.
    """
    beta = _check(unary, word_mask, region_mask, beta)
    words = unary.shape[1]
    lengths = word_mask.sum(1)
    order = lengths.argsort(descending=True, stable=True)  # those still going are the first rows: a step is one slice
    going = (torch.arange(words, device=unary.device)[:, None] < lengths).sum(1).tolist()
    u, beta = unary[order], beta[order]
    if not region_mask.all():
        u = u.masked_fill(~region_mask[order][:, None], -torch.inf)
    value = u[:, 0]  # F_j(i) - (j - 1) beta, the same path: a large beta would swallow the digits of u
    steps, ended = [], []  # of each step, where the chain stays and whence it comes if not
    for j, n in enumerate(going[1:], start=1):
        ended.append(value[n:])
        value = value[:n]
        if not n:
            break
        best, where = value.max(1, keepdim=True)  # (n, 1)
        leave = best - beta[:n]
        steps.append((value >= leave, where))
        value = u[:n, j] + torch.maximum(value, leave)
    total, last = torch.cat([value, *reversed(ended)]).max(1)
    path = [last]
    for stays, where in reversed(steps):
        here = path[-1][: len(where), None]
        path.append(torch.cat([torch.where(stays.gather(1, here), here, where)[:, 0], path[-1][len(where) :]]))
    path += [last] * (words - len(path))  # where all are padded
    back = order.argsort()
    path = torch.stack(path[len(steps) :: -1] + path[len(steps) + 1 :], 1)[back]
    return path * word_mask, (total + beta[:, 0] * (lengths[order] - 1))[back]


def segments(
    path: Int[Tensor, "sentences words"], word_mask: Bool[Tensor, "sentences words"]
) -> tuple[Int[Tensor, " segments"], Int[Tensor, " segments"], Int[Tensor, " segments"]]:
    """Maximal runs of equal a_j: of each the sentence, the region and the number of words, in the words' order.

    Args:
        path: a_1 .. a_N of each sentence; what stands at padded places is not read.
        word_mask: True where a word is real, padding on the right.

    Source: Karpathy and Fei-Fei 2015, section 3.1.4.
    """
    runs = torch.stack([word_mask.nonzero()[:, 0], path[word_mask]], 1)
    runs, counts = torch.unique_consecutive(runs, dim=0, return_counts=True)
    return runs[:, 0], runs[:, 1], counts


def marginals(
    unary: Float[Tensor, "sentences words regions"],
    word_mask: Bool[Tensor, "sentences words"],
    region_mask: Bool[Tensor, "sentences regions"],
    beta: float | Float[Tensor, " sentences"],
    temperature: float = 1.0,
) -> Float[Tensor, "sentences words regions"]:
    r"""Soft alignments: :math:`P(a_j = i)` under :math:`P(a) \propto \exp(\mathrm{value}(a) / \tau)`.

    Sum-product on the same chain, forwards and backwards, in O(N M): with p = exp(-beta / tau), what arrives at a
    region is p times everything before, plus 1 - p times what stood there already.

    Args:
        unary, word_mask, region_mask, beta: as for :func:`best_path`.
        temperature: tau, in units of the products; towards 0 it becomes the best path.

    Returns:
        The probability of each region for each word: sums to 1 over regions, zeros where padded; float.

    Raises:
        ValueError: as :func:`best_path`, and for a temperature that is not above 0, or too small for the products.
    """
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature must be above 0 and finite, got {temperature}")
    beta = _check(unary, word_mask, region_mask, beta) / temperature
    u = (unary / temperature).masked_fill(~(word_mask[..., None] & region_mask[:, None]), 0)
    if not (u.isfinite().all() and beta.isfinite().all()):
        raise ValueError(f"temperature {temperature} is too small: divided by it, products or beta become infinite")
    u = u.masked_fill(~region_mask[:, None], -torch.inf)
    # log(1 - p); for beta = 0, where nothing favours staying, next to nothing, so that gradients stay finite
    kept = (-torch.expm1(-beta)).clamp(min=torch.finfo(u.dtype).tiny).log()

    def pass_on(message: Tensor) -> Tensor:
        return torch.logaddexp(message + kept, message.logsumexp(1, keepdim=True) - beta)

    words = u.shape[1]
    forwards = [u[:, 0]]
    for j in range(1, words):
        forwards.append(u[:, j] + pass_on(forwards[-1]))
    backwards = [torch.zeros_like(u[:, 0])]
    for j in range(words - 1, 0, -1):
        arriving = pass_on(u[:, j] + backwards[-1])
        backwards.append(torch.where(word_mask[:, j : j + 1], arriving, 0.0))
    joint = torch.stack(forwards, 1) + torch.stack(backwards[::-1], 1)
    return joint.softmax(2) * word_mask[..., None]
