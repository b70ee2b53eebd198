"""The self-checks of chapter 13: what is right passes in two ways, usual mistakes get their hint."""

import torch


def attend(h, v, mask, W_q, W_k, w, blank=-torch.inf):
    energies = torch.einsum("srh,h->sr", torch.tanh((W_q @ h.T).T[:, None] + torch.einsum("ij,srj->sri", W_k, v)), w)
    alpha = energies.masked_fill(~mask, blank).softmax(-1)
    return alpha, torch.einsum("sr,srh->sh", alpha, v)


def attend_one_by_one(h, v, mask, W_q, W_k, w):
    alphas, seen = torch.zeros(mask.shape, dtype=v.dtype), []
    for k in range(len(h)):
        real = v[k][mask[k]]
        weights = torch.stack([w @ torch.tanh(W_q @ h[k] + W_k @ region) for region in real]).softmax(0)
        alphas[k, mask[k]] = weights
        seen.append(weights @ real)
    return alphas, torch.stack(seen)


def unmasked(h, v, mask, *parts):
    return attend(h, v, torch.ones_like(mask), *parts)


def masked_afterwards(h, v, mask, *parts):
    alpha = unmasked(h, v, mask, *parts)[0] * mask
    return alpha, torch.einsum("sr,srh->sh", alpha, v)


def without_tanh(h, v, mask, W_q, W_k, w):
    alpha = ((h @ W_q.T)[:, None] + v @ W_k.T).matmul(w).masked_fill(~mask, -torch.inf).softmax(1)
    return alpha, (alpha[:, None] @ v)[:, 0]


def attend_in_columns(*given):
    alpha, c = attend(*given)
    return alpha[..., None], c[:, None]


def unevenness_by_product(alpha, target):
    return ((torch.ones(len(alpha)) @ alpha - target) ** 2).sum()


def reinforce(log_alpha, chosen, reward, baseline):
    picked = log_alpha[torch.arange(len(chosen)), chosen]
    return (picked * (baseline - reward.detach())).mean()


def reinforce_by_one_hot(log_alpha, chosen, reward, baseline):
    hot = torch.nn.functional.one_hot(chosen, log_alpha.shape[1])
    return -(hot * log_alpha * (reward - baseline).detach()[:, None]).sum() / len(chosen)


RIGHT = {
    "check_attend": (attend, attend_one_by_one),
    "check_unevenness": (
        lambda alpha, target: ((alpha.sum(0) - target) ** 2).sum(),
        unevenness_by_product,
        lambda alpha, target: sum((column.sum() - target) ** 2 for column in alpha.T),
    ),
    "check_reinforce": (reinforce, reinforce_by_one_hot),
}
WRONG = [
    ("check_attend", attend_in_columns, "wanted"),
    ("check_attend", lambda *given: torch.cat([part.flatten() for part in attend(*given)]), "wanted"),
    ("check_attend", unmasked, "padded regions were looked at"),
    ("check_attend", masked_afterwards, "you masked after the softmax"),
    ("check_attend", lambda *given: attend(*given, blank=0.0), "mask with minus infinity"),
    ("check_attend", without_tanh, "the tanh is missing"),
    ("check_attend", lambda *given: attend(*given)[::-1], "alpha first"),
    ("check_attend", lambda h, v, m, W_q, W_k, w: attend(h, v, m, W_q.T, W_k.T, w), "are transposed"),
    ("check_attend", lambda *given: None, "is there a `return`?"),
    ("check_unevenness", lambda alpha, target: (target - alpha.sum(1)).square().sum(), "sum over words"),
    ("check_unevenness", lambda alpha, target: (target - alpha).square().sum(), "before you compare"),
    ("check_unevenness", lambda alpha, target: (target - alpha.sum(0)).abs().sum(), "squared, not absolute"),
    ("check_unevenness", lambda alpha, target: (target - alpha.sum(0)).square().mean(), "not their mean"),
    ("check_unevenness", lambda alpha, target: (1 - alpha.sum(0)).square().sum(), "you used target 1"),
    ("check_unevenness", lambda alpha, target: float(unevenness_by_product(alpha, target)), "no gradient comes back"),
    ("check_reinforce", lambda a, i, r, b: -reinforce(a, i, r, b), "the sign"),
    ("check_reinforce", lambda a, i, r, b: reinforce(a, i, r, 0.0), "the baseline is not in it"),
    ("check_reinforce", lambda a, i, r, b: -((r - b) * a[torch.arange(len(i)), i]).mean(), "detach it"),
    ("check_reinforce", lambda a, i, r, b: reinforce(a, i, r, b) * len(i), "not their sum"),
    ("check_reinforce", lambda a, i, r, b: reinforce(a.exp(), i, r, b), "log alpha, not alpha"),
    ("check_reinforce", lambda a, i, r, b: reinforce(a, a.argmax(1), r, b), "not the likeliest"),
    ("check_reinforce", lambda a, i, r, b: a.sum(1), "one number with a gradient"),
]
