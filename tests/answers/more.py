"""What exercises of chapters 8, 13 and 15 ask for: two right answers to every self-check, and usual mistakes."""

import torch

from vsa_lite.evaluation.ranking import rank_scores


def hits_of(S, sentence_image):
    hit = (rank_scores(S, sentence_image)[1] <= 1).double()
    return torch.stack([hit[sentence_image == k].mean() for k in range(len(S))])


def hits_by_counting(S, sentence_image):
    """Without ranks: a sentence finds its picture where every other picture scores less."""
    shares = []
    for k, row in enumerate(S):
        others = torch.cat([S[:k], S[k + 1 :]])
        found = [bool((others[:, t] < row[t]).all()) for t in range(S.shape[1]) if sentence_image[t] == k]
        shares.append(sum(found) / len(found))
    return shares


def hits_by_argmax(S, sentence_image):
    hit = (S.argmax(0) == sentence_image).float()
    return torch.stack([hit[sentence_image == k].mean() for k in range(len(S))])


def hits_of_equal_count(S, sentence_image):
    hit = (rank_scores(S, sentence_image)[1] <= 1).double()
    count = max(1, S.shape[1] // len(S))
    return torch.stack([hit[k * count : (k + 1) * count].mean() for k in range(len(S))])


def dot_energies(h, v, W_q, W_k):
    question, keys = h @ W_q.T, v @ W_k.T
    return (question[:, None] * keys).sum(-1) / h.shape[1] ** 0.5


def energies_by_loops(h, v, W_q, W_k):
    rows = [[(W_q @ state) @ (W_k @ region) for region in regions] for state, regions in zip(h, v, strict=True)]
    return torch.tensor(rows) / torch.tensor(float(len(W_q))).sqrt()


def prefer_large(products, boxes, gamma):
    sides = (boxes[..., 2:] - boxes[..., :2]).clamp(min=1e-3)
    return products + gamma * sides.prod(-1).log()[:, None]


def prefer_large_by_sides(products, boxes, gamma):
    x0, y0, x1, y1 = boxes.unbind(-1)
    large = (x1 - x0).clamp(min=1e-3).log() + (y1 - y0).clamp(min=1e-3).log()  # (pairs, regions)
    return torch.stack([products[:, t] + gamma * large for t in range(products.shape[1])], 1)


def area(boxes):
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=1e-3).prod(-1)


def other_corner(p, b, gamma):
    return p + gamma * b[..., 2:].clamp(min=1e-3).prod(-1).log()[:, None]


def of_the_plain_area(p, b, gamma):
    return p + gamma * (b[..., 2:] - b[..., :2]).prod(-1).log()[:, None]


RIGHT = {
    "check_hits_of": (hits_of, hits_by_counting),
    "check_dot_energies": (dot_energies, energies_by_loops),
    "check_prefer_large": (prefer_large, prefer_large_by_sides),
}
WRONG = [
    ("check_hits_of", lambda S, o: [100 * share for share in hits_by_counting(S, o)], "shares, not percent"),
    ("check_hits_of", lambda S, o: (rank_scores(S, o)[1] <= 1).double().mean(), "the mean over its own sentences"),
    ("check_hits_of", lambda S, o: rank_scores(S, o)[1] <= 1, "not for each sentence"),
    ("check_hits_of", lambda S, o: hits_of(S, o) * o.bincount(), "divide by how many sentences the picture has"),
    ("check_hits_of", lambda S, o: rank_scores(S, o)[0] <= 1, "here its sentences look for it"),
    ("check_hits_of", lambda S, o: hits_of(S, o) > 0, "not whether one does"),
    ("check_hits_of", lambda S, o: hits_of(S.round() + 1e-6 * torch.eye(len(S))[:, o], o), "ties count for you"),
    ("check_hits_of", hits_by_argmax, "wanted"),
    ("check_hits_of", hits_of_equal_count, "wanted"),
    ("check_dot_energies", lambda h, v, Q, K: ((h @ Q.T)[:, None] * (v @ K.T)).sum(-1), "the root of H is missing"),
    ("check_dot_energies", lambda h, v, Q, K: dot_energies(h, v, Q, K) / h.shape[1] ** 0.5, "not by H"),
    (
        "check_dot_energies",
        lambda h, v, Q, K: ((h @ Q.T)[:, None] * (v @ K.T)).sum(-1) / v.shape[1] ** 0.5,
        "not how many regions",
    ),
    ("check_dot_energies", lambda h, v, Q, K: dot_energies(h, v, Q.T, K.T), "is h W^T of a row"),
    ("check_dot_energies", lambda h, v, Q, K: dot_energies(h, v, K, Q), "W_q goes with the state"),
    ("check_dot_energies", lambda h, v, Q, K: (v @ (h @ Q.T)[..., None])[..., 0] / h.shape[1] ** 0.5, "is W_k v"),
    ("check_dot_energies", lambda h, v, Q, K: dot_energies(h, v, Q, K).softmax(1), "the softmax comes after"),
    ("check_dot_energies", lambda h, v, Q, K: dot_energies(h, v, Q, K).T, "one row a state"),
    ("check_dot_energies", lambda h, v, Q, K: (h @ Q.T) @ (v[0] @ K.T).T / h.shape[1] ** 0.5, "wanted"),
    ("check_prefer_large", lambda p, b, g: p + g * area(b)[:, None], "the logarithm is missing"),
    ("check_prefer_large", lambda p, b, g: p - g * area(b).log()[:, None], "the reward is added"),
    ("check_prefer_large", lambda p, b, g: p + area(b).log()[:, None], "gamma is given"),
    ("check_prefer_large", lambda p, b, g: p + g * area(b).log10()[:, None], "natural logarithm"),
    ("check_prefer_large", other_corner, "its other corner"),
    ("check_prefer_large", of_the_plain_area, "at least 0.001"),
    ("check_prefer_large", lambda p, b, g: prefer_large(p, b, g).amax(2), "the maximum comes after"),
    ("check_prefer_large", lambda p, b, g: p * (g * area(b).log())[:, None], "does not multiply"),
    ("check_prefer_large", lambda p, b, g: prefer_large(p, b, g / 2), "wanted"),
]
