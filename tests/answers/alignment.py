"""Chapters 6 to 9: two right answers to every self-check, and usual mistakes with the hint that each should get."""

import itertools
import math

import torch

from vsa_lite.alignment.chain import best_path, marginals
from vsa_lite.alignment.losses import contrastive_loss, hardest_negative_loss, structured_loss
from vsa_lite.alignment.scores import alignment_scores
from vsa_lite.evaluation.ranking import rank_scores
from vsa_lite.viewer import segments_in_words


def masked(S, ids, m):
    return (hinges(S, m) * ~torch.eye(len(S), dtype=torch.bool)).sum()


def hinges(S, m):
    true = S.diagonal()
    return (S - true[:, None] + m).clamp(min=0) + (S - true + m).clamp(min=0)


def padded_with_zeros(v, region_mask, s, word_mask):
    products = torch.einsum("kih,lth->klti", v, s).masked_fill(~region_mask[:, None, None], 0)
    return products.amax(-1).masked_fill(~word_mask, 0).sum(-1)


def unmasked(v, region_mask, s, word_mask):
    return torch.einsum("kih,lth->klti", v, s).amax(-1).sum(-1)


def optimistic(S, owners):
    own = S[owners, torch.arange(len(owners))]
    return 1 + (S > own).sum(0)


def chain(u):
    return u[None], *(torch.ones(1, n, dtype=torch.bool) for n in u.shape)


def by_region(words, path):
    return [(i, " ".join(w for w, j in zip(words, path, strict=True) if i == j)) for i in dict.fromkeys(path)]


def all_ones(S, owners):
    return torch.ones(len(S), dtype=torch.int64)


def scores_by_loops(v, region_mask, s, word_mask):
    rows = []
    for regions, real in zip(v, region_mask, strict=True):
        pairs = zip(s, word_mask, strict=True)
        rows.append([sum(float((regions[real] @ word).max()) for word in words[m]) for words, m in pairs])
    return rows


def losses_by_loops(S, ids, m):
    """Of every pair: hinges with wrong sentences, and with wrong pictures."""
    wrong = [[n for n in range(len(S)) if ids[n] != ids[k]] for k in range(len(S))]
    sentences = [[(S[k, n] - S[k, k] + m).clamp(min=0) for n in wrong[k]] for k in range(len(S))]
    return sentences, [[(S[n, k] - S[k, k] + m).clamp(min=0) for n in wrong[k]] for k in range(len(S))]


def structured_by_loops(S, ids, m):
    return sum(sum(hinges) for side in losses_by_loops(S, ids, m) for hinges in side)


def hardest_by_loops(S, ids, m):
    return sum(max(hinges, default=0.0) for side in losses_by_loops(S, ids, m) for hinges in side)


def half_trained(S, ids, m):
    """The true pairs get no gradient."""
    true = S.diagonal().detach()
    hinges = (S - true[:, None] + m).clamp(min=0) + (S - true + m).clamp(min=0)
    return (hinges * (ids[:, None] != ids)).sum()


def contrastive_by_cross_entropy(S, ids, scale):
    others = (ids[:, None] == ids) & ~torch.eye(len(S), dtype=torch.bool)
    logits = (scale * S).masked_fill(others, -torch.inf)
    own = torch.arange(len(S))
    both = [torch.nn.functional.cross_entropy(side, own, reduction="sum") for side in (logits, logits.T)]
    return sum(both) / 2


def image_ranks_by_loops(S, owners):
    columns = enumerate(zip(S.T, owners, strict=True))
    return [1 + sum(bool(c[k] >= c[o]) for k in range(len(S)) if k != o) for _, (c, o) in columns]


def sentence_ranks_by_loops(S, owners):
    ranks = []
    for k, row in enumerate(S):
        best = row[owners == k].max()
        ranks.append(1 + int((row[owners != k] >= best).sum()))
    return ranks


def values(u, beta):
    """The value of every path."""
    for path in itertools.product(range(u.shape[1]), repeat=len(u)):
        stays = sum(a == b for a, b in itertools.pairwise(path))
        yield path, sum(float(u[j, i]) for j, i in enumerate(path)) + beta * stays


def every_path(u, beta):
    return list(max(values(u, beta), key=lambda pair: pair[1])[0])


def marginals_of_every_path(u, beta):
    total = torch.zeros_like(u)
    for path, value in values(u, beta):
        total[range(len(u)), list(path)] += math.exp(value)
    return total / total.sum(1, keepdim=True)


def segments_by_hand(words, path):
    found = []
    for word, region in zip(words, path, strict=True):
        if found and found[-1][0] == region:
            found[-1] = (region, f"{found[-1][1]} {word}")
        else:
            found.append((region, word))
    return found


def greedy(u, beta):
    path = [int(u[0].argmax())]
    for row in u[1:]:
        bonus = row.clone()
        bonus[path[-1]] += beta
        path.append(int(bonus.argmax()))
    return path


def forwards(u, beta):
    messages = [u[0]]
    for row in u[1:]:
        messages.append(row + (messages[-1][:, None] + beta * torch.eye(u.shape[1])).logsumexp(0))
    return torch.stack(messages).softmax(1)


def one_side(S, ids, m, which):
    true = S.diagonal()
    hinge = (S - (true[:, None] if which == 0 else true) + m).clamp(min=0)
    return hinge * (ids[:, None] != ids)


def ranks_below(S, owners):
    return len(S) + 1 - optimistic(S, owners)


def worst_sentence(S, owners):
    own = owners == torch.arange(len(S))[:, None]
    worst = S.masked_fill(~own, torch.inf).amin(1, keepdim=True)
    return 1 + ((S >= worst) & ~own).sum(1)


def own_sentences_too(S, owners):
    own = owners == torch.arange(len(S))[:, None]
    return (S >= S.masked_fill(~own, -torch.inf).amax(1, keepdim=True)).sum(1)


def kind_to_ties(S, owners):
    own = owners == torch.arange(len(S))[:, None]
    return 1 + ((S > S.masked_fill(~own, -torch.inf).amax(1, keepdim=True)) & ~own).sum(1)


def marginals_by_products(u, beta):
    """As in textbooks: matrices of e^beta on the diagonal, messages from both ends."""
    e, stay = u.exp(), torch.exp(beta * torch.eye(u.shape[1]))
    ahead, back = [e[0]], [torch.ones(u.shape[1])]
    for row in e[1:]:
        ahead.append((ahead[-1] @ stay) * row)
    for row in e[1:].flip(0):
        back.insert(0, stay @ (row * back[0]))
    both = torch.stack(ahead) * torch.stack(back)
    return both / both.sum(1, keepdim=True)


RIGHT = {
    "check_fragment_score": (
        lambda v, s: sum(max(0.0, float(a @ b)) for a in v for b in s),
        lambda v, s: torch.relu(s @ v.T).sum(),
    ),
    "check_score": (
        lambda v, s: sum(max(float(a @ b) for a in v) for b in s),
        lambda v, s: (v @ s.T).amax(0).sum(),
    ),
    "check_scores": (alignment_scores, scores_by_loops),
    "check_smooth": (
        lambda S, lengths: S / (lengths + 10),
        lambda S, n: torch.stack([c / (10 + k) for c, k in zip(S.T, n.tolist(), strict=True)]).T,
    ),
    "check_structured_loss": (structured_loss, structured_by_loops),
    "check_hardest_negative_loss": (hardest_negative_loss, hardest_by_loops),
    "check_contrastive_loss": (contrastive_loss, contrastive_by_cross_entropy),
    "check_image_ranks": (lambda S, owners: rank_scores(S, owners)[1].tolist(), image_ranks_by_loops),
    "check_sentence_ranks": (lambda S, owners: rank_scores(S, owners)[0], sentence_ranks_by_loops),
    "check_best_path": (lambda u, beta: best_path(*chain(u), beta)[0][0].tolist(), every_path),
    "check_marginals": (lambda u, beta: marginals(*chain(u), beta)[0], marginals_of_every_path, marginals_by_products),
    "check_segments": (segments_in_words, segments_by_hand),
}

WRONG = [
    ("check_fragment_score", lambda v, s: (v @ s.T).sum(), "you forgot max(0, .)"),
    ("check_fragment_score", lambda v, s: (s @ v.T).amax(1).sum(), "that is eq. 8"),
    ("check_fragment_score", lambda v, s: (s @ v.T).abs().sum(), "not their absolute value"),
    ("check_fragment_score", lambda v, s: (s @ v.T).clamp(min=0), "sum them over words and regions"),
    ("check_fragment_score", lambda v, s: (s @ v.T).clamp(min=0).mean(), "wanted"),
    ("check_fragment_score", lambda v, s: print(end=""), "is there a `return`?"),
    ("check_score", lambda v, s: (s @ v.T).sum(), "you summed over regions; eq. 8 takes the max"),
    ("check_score", lambda v, s: (s @ v.T).clamp(min=0).sum(), "that is eq. 7"),
    ("check_score", lambda v, s: (s @ v.T).amax(0).sum(), "you took the max over words"),
    ("check_score", lambda v, s: (s @ v.T).amax(1), "sum them"),
    ("check_score", lambda v, s: None, "is there a `return`?"),
    ("check_score", lambda v, s: "7", "wanted"),
    ("check_scores", unmasked, "you used no mask"),
    ("check_scores", padded_with_zeros, "0 beats every negative product"),
    ("check_scores", lambda *a: alignment_scores(*a).T, "index order is (image, sentence)"),
    ("check_scores", lambda *a: alignment_scores(*a, "max", "mean"), "you divided by the number of words"),
    ("check_scores", lambda v, m, s, w: alignment_scores(v, m, s, w | True), "padded words are summed"),
    ("check_scores", lambda v, m, s, w: alignment_scores(v, m | True, s, w), "a padded region can win the max"),
    ("check_smooth", lambda S, lengths: S / lengths, "that is `mean`"),
    ("check_smooth", lambda S, lengths: S / lengths + 10, "the 10 belongs below the line"),
    ("check_smooth", lambda S, lengths: S / (lengths + 1), "wanted"),
    ("check_smooth", lambda S, lengths: S, "wanted"),
    ("check_smooth", lambda S, lengths: None, "is there a `return`?"),
    ("check_structured_loss", lambda S, ids, m: hinges(S, m).sum(), "l = k is included"),
    ("check_structured_loss", masked, "you masked the diagonal only"),
    ("check_structured_loss", lambda S, ids, m: structured_loss(S, ids, 1.0), "you used margin 1"),
    ("check_structured_loss", lambda S, ids, m: structured_loss(-S, ids, m), "exchanged"),
    ("check_structured_loss", lambda S, ids, m: structured_loss(S, ids, m) / len(S), "not its mean"),
    ("check_structured_loss", lambda S, ids, m: float(structured_loss(S, ids, m)), "no gradient comes back"),
    ("check_structured_loss", lambda S, ids, m: structured_loss(S, ids, m).detach(), "no gradient comes back"),
    ("check_structured_loss", half_trained, "its gradient is not"),
    ("check_structured_loss", lambda S, ids, m: structured_loss(S.bool(), ids, m), "stops with"),
    ("check_hardest_negative_loss", structured_loss, "keep the hardest one"),
    ("check_hardest_negative_loss", lambda *a: float(hardest_negative_loss(*a)), "no gradient comes back"),
    (
        "check_hardest_negative_loss",
        lambda *a: one_side(*a, 0).amax(1).sum() + one_side(*a, 1).amax(1).sum(),
        "over rows",
    ),
    (
        "check_hardest_negative_loss",
        lambda S, _, m: hardest_negative_loss(S, torch.arange(len(S)), m),
        "the diagonal only",
    ),
    ("check_hardest_negative_loss", lambda *a: one_side(*a, 0).amax(1).sum(), "wanted"),
    ("check_hardest_negative_loss", lambda S, ids, m: hardest_negative_loss(S, ids, m) / len(S), "wanted"),
    ("check_contrastive_loss", lambda S, ids, a: 2 * contrastive_loss(S, ids, a), "halve"),
    ("check_contrastive_loss", lambda S, ids, a: contrastive_loss(S, ids, a) / len(S), "this is its mean"),
    ("check_contrastive_loss", lambda S, ids, a: contrastive_loss(S, ids, 1.0), "you left out the scale"),
    ("check_contrastive_loss", lambda S, ids, a: -contrastive_loss(S, ids, a), "wanted"),
    (
        "check_contrastive_loss",
        lambda S, ids, a: contrastive_loss(S, torch.arange(len(S)), a),
        "set their scores to -inf",
    ),
    ("check_contrastive_loss", lambda *a: contrastive_loss(*a).item(), "no gradient comes back"),
    ("check_image_ranks", optimistic, "ties count for you"),
    ("check_image_ranks", lambda S, owners: rank_scores(S, owners)[1] - 1, "ranks begin with 1"),
    ("check_image_ranks", lambda S, owners: rank_scores(S, owners)[1] + 1, "you counted the picture itself"),
    ("check_image_ranks", ranks_below, "you ranked from the bottom"),
    ("check_image_ranks", lambda S, owners: None, "is there a `return`?"),
    ("check_sentence_ranks", lambda S, owners: rank_scores(S, owners)[0] - 1, "ranks begin with 1"),
    ("check_sentence_ranks", all_ones, "wanted"),
    ("check_sentence_ranks", worst_sentence, "the worst of a picture's sentences"),
    ("check_sentence_ranks", own_sentences_too, "count wrong sentences only"),
    ("check_sentence_ranks", kind_to_ties, "ties must count against you"),
    ("check_best_path", lambda u, beta: u.argmax(1), "beta is not in it"),
    ("check_best_path", lambda u, beta: best_path(*chain(-u), beta)[0][0], "you minimised"),
    ("check_best_path", lambda u, beta: best_path(*chain(u), beta)[0][0].flip(0), "back to front"),
    ("check_best_path", greedy, "you decided word by word"),
    ("check_best_path", lambda u, beta: best_path(*chain(u), beta)[0][0] + 1, "wanted"),
    ("check_best_path", lambda u, beta: sorted(best_path(*chain(u), beta)[0][0].tolist()), "wanted"),
    ("check_marginals", lambda u, beta: u.softmax(1), "beta is not in it"),
    ("check_marginals", forwards, "these are the messages forwards"),
    (
        "check_marginals",
        lambda u, beta: torch.eye(u.shape[1])[best_path(*chain(u), beta)[0][0]],
        "that is the best path",
    ),
    ("check_marginals", lambda u, beta: marginals(*chain(u), beta)[0].T, "wanted"),
    ("check_marginals", lambda u, beta: marginals(*chain(u), beta)[0].log(), "wanted"),
    ("check_segments", lambda words, path: segments_in_words(words, path)[:-1], "the last run is missing"),
    ("check_segments", by_region, "makes two segments"),
    ("check_segments", lambda words, path: [(path[0], " ".join(words))], "segments: wanted"),
    ("check_segments", lambda words, path: None, "is there a `return`?"),
    ("check_segments", lambda words, path: [], "segments: wanted"),
    ("check_segments", lambda words, path: [one for one in segments_in_words(words, path) if " " in one[1]], "wanted"),
    ("check_segments", lambda words, path: [(run, i) for i, run in segments_in_words(words, path)], "wanted"),
    ("check_segments", lambda words, path: [(i, run.split()) for i, run in segments_in_words(words, path)], "wanted"),
]
