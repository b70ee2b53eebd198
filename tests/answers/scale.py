"""The self-checks of chapter 16: what is right passes in two ways, usual mistakes get their hint."""

import torch


def table(v, mask, u):
    return torch.stack([(v_k[m] @ u.T).amax(0) for v_k, m in zip(v, mask, strict=True)])


def table_by_einsum(v, mask, u):
    products = torch.einsum("krh,ch->kcr", v, u)
    products[(~mask)[:, None].expand_as(products)] = -1e9
    return products.max(-1).values


def estimate(words, u, m):
    return sum((word @ u.T).max() * m[:, (word @ u.T).argmax()] for word in words)


def estimate_by_gather(words, u, m):
    share, nearest = (words @ u.T).max(1)
    return (m[:, nearest] * share).sum(1).tolist()


def recall(found, truth):
    return 100.0 * sum(item in a for a, b in zip(found, truth, strict=True) for item in b) / sum(map(len, truth))


def recall_by_sets(found, truth):
    missed = sum(len(set(b) - set(a)) for a, b in zip(found, truth, strict=True))
    return 100 - 100 * missed / sum(len(b) for b in truth)


def estimate_by_one_hot(words, codewords, table):
    share, nearest = (words @ codewords.T).max(1)
    return table @ torch.nn.functional.one_hot(nearest, len(codewords)).float().T @ share


RIGHT = {
    "check_codeword_table": (table, table_by_einsum),
    "check_estimate": (estimate, estimate_by_gather, estimate_by_one_hot),
    "check_recall": (recall, recall_by_sets),
}
WRONG = [
    ("check_codeword_table", lambda v, mask, u: (v @ u.T).amax(1), "padded regions took part"),
    ("check_codeword_table", lambda v, mask, u: (v * mask[..., None] @ u.T).amax(1), "0 beats a negative product"),
    ("check_codeword_table", lambda v, mask, u: (v @ u.T).sum(1), "you summed over regions"),
    ("check_codeword_table", lambda v, mask, u: table(v, mask, u).T, "turn it over"),
    ("check_codeword_table", lambda v, mask, u: v.mean(1) @ u.T, "wanted"),
    ("check_codeword_table", lambda v, mask, u: None, "is there a `return`?"),
    ("check_estimate", lambda s, u, m: m[:, (s @ u.T).argmax(1)].sum(1), "its share of its codeword"),
    ("check_estimate", lambda s, u, m: m @ (s @ u.T).sum(0), "you used all codewords"),
    ("check_estimate", lambda s, u, m: estimate(s, u, m) / len(s), "you took the mean"),
    ("check_estimate", lambda s, u, m: m[:, (s @ u.T).argmax(1)] @ s.norm(dim=1), "not the word's length"),
    ("check_estimate", lambda s, u, m: m[:, (s @ u.T).argmin(1)] @ (s @ u.T).min(1).values, "wanted"),
    ("check_recall", lambda found, truth: recall(found, truth) / 100, "in percent"),
    ("check_recall", lambda found, truth: recall(truth, found), "that is precision"),
    ("check_recall", lambda found, truth: 7.0, "wanted"),
    (
        "check_recall",
        lambda found, truth: 100 * sum(bool(set(a) & set(b)) for a, b in zip(found, truth, strict=True)) / len(truth),
        "count the hits",
    ),
    (
        "check_recall",
        lambda found, truth: 100 * sum(a[0] == b[0] for a, b in zip(found, truth, strict=True)) / len(truth),
        "the first place only",
    ),
]
