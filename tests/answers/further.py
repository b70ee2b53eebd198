"""What further exercises ask for: two right answers to every self-check, and usual mistakes with the hint of each."""

import math
from collections import Counter
from itertools import pairwise

import torch

from vsa_lite.alignment.scores import alignment_scores


def rarity(word, sentences):
    return math.log(len(sentences) / sum(word in tokens for tokens in sentences))


def rarity_by_sets(word, sentences):
    inside = Counter(token for tokens in sentences for token in set(tokens))
    return torch.tensor(len(sentences) / inside[word]).log()


def rarity_of_occurrences(word, sentences):
    return math.log(len(sentences) / sum(tokens.count(word) for tokens in sentences))


def rarity_among_words(word, sentences):
    words = [token for tokens in sentences for token in tokens]
    return math.log(len(words) / words.count(word))


def surplus(together, K):
    a, b, all_ = together.sum(1, keepdim=True), together.sum(0, keepdim=True), together.sum()
    ratio = torch.where(together > 0, together * all_ / (a * b), 0)
    return (ratio / K).clamp(min=1).log()


def surplus_by_loops(together, K):
    table = torch.zeros_like(together)
    for a in range(len(together)):
        for b in range(len(together)):
            if together[a, b]:
                chance = together[a].sum() * together[:, b].sum() / together.sum()
                table[a, b] = max(0.0, math.log(together[a, b] / chance) - math.log(K))
    return table


def raw_surplus(together, K):
    P = together / together.sum()
    return (P / (P.sum(1, keepdim=True) * P.sum(0))).log() - math.log(K)


def positive(table):
    return torch.where(table > 0, table, 0)


def given_the_word(together, K):
    return positive((together / together.sum(1, keepdim=True)).log() - math.log(K))


def of_counts(together, K):
    return positive((together / (together.sum(1, keepdim=True) * together.sum(0))).log() - math.log(K))


def cka(A, B):
    A, B = A - A.mean(0), B - B.mean(0)
    return (A.T @ B).square().sum() / ((A.T @ A).square().sum() * (B.T @ B).square().sum()).sqrt()


def cka_by_likeness(A, B):
    """By what each takes for alike, picture by picture."""
    A, B = A - A.mean(0), B - B.mean(0)
    K, L = A @ A.T, B @ B.T
    return (K * L).sum() / (K.norm() * L.norm())


def cka_as_it_is(A, B):
    return (A.T @ B).norm() ** 2 / ((A.T @ A).norm() * (B.T @ B).norm())


def cka_by_rows(A, B):
    return cka_as_it_is(A - A.mean(1, keepdim=True), B - B.mean(1, keepdim=True))


def cka_of_norms(A, B):
    A, B = A - A.mean(0), B - B.mean(0)
    return (A.T @ B).norm() ** 2 / (A.norm() ** 2 * B.norm() ** 2)


def of_regions(v, region_mask, s, word_mask, mean=True):
    products = torch.einsum("kih,lth->klit", v, s).masked_fill(~word_mask[:, None], -torch.inf)
    total = products.amax(-1).masked_fill(~region_mask[:, None], 0).sum(-1)
    return total / region_mask.sum(1, keepdim=True) if mean else total


def both_ways(v, region_mask, s, word_mask, weight):
    return alignment_scores(v, region_mask, s, word_mask) + weight * of_regions(v, region_mask, s, word_mask)


def both_ways_by_loops(v, region_mask, s, word_mask, weight):
    rows = []
    for regions, real in zip(v, region_mask, strict=True):
        row = []
        for words, spoken in zip(s, word_mask, strict=True):
            products = regions[real] @ words[spoken].T
            row.append(products.amax(0).sum() + weight * products.amax(1).mean())
        rows.append(torch.stack(row))
    return torch.stack(rows)


def with_padded(which):
    """Without one of the masks in the second part."""

    def scores(v, m, s, w, weight):
        masks = {"regions": (m | True, w), "words": (m, w | True)}[which]
        return alignment_scores(v, m, s, w) + weight * of_regions(v, masks[0], s, masks[1])

    return scores


def summed_over_regions(v, m, s, w, weight):
    return alignment_scores(v, m, s, w) + weight * of_regions(v, m, s, w, mean=False)


def by_meaning(S, ids, tokens, margin):
    total = 0.0
    for k in range(len(S)):
        for j in range(len(S)):
            if ids[k] != ids[j] and tokens[k] != tokens[j]:
                total = total + (S[k, j] - S[k, k] + margin).relu() + (S[j, k] - S[k, k] + margin).relu()
    return total + 0 * S.sum()


def by_meaning_masked(S, ids, tokens, margin, drop=lambda picture, meaning: picture | meaning):
    true, numbers = S.diagonal(), [sorted({*map(tuple, tokens)}).index(tuple(one)) for one in tokens]
    numbers = torch.tensor(numbers)
    both = (S - true[:, None] + margin).relu() + (S - true[None] + margin).relu()
    return both[~drop(ids[:, None] == ids, numbers[:, None] == numbers)].sum() + 0 * S.sum()


def by_sorted_words(S, ids, tokens, margin):
    return by_meaning_masked(S, ids, [sorted(one) for one in tokens], margin)


def only_pictures(S, ids, tokens, margin):
    return by_meaning_masked(S, ids, tokens, margin, lambda picture, meaning: picture)


def expected_couples(B, N):
    return B * (B - 1) / 2 * 4 / (5 * N - 1)


def expected_by_pictures(B, N):
    """Each of the couples of all sentences is drawn with the same probability."""
    return N * math.comb(5, 2) * math.comb(B, 2) / math.comb(5 * N, 2)


def share_out(S, scale):
    return scale * S - (scale * S).logsumexp(1, keepdim=True)


def naive_share(S, scale):
    return scale * S - (scale * S).exp().sum(1, keepdim=True).log()


def viterbi_links(u, betas):
    own, value, came_from = torch.arange(u.shape[1]), u[0], []
    for row, beta in zip(u[1:], betas, strict=True):
        best, where = value.max(0)
        came_from.append(torch.where(value + beta >= best, own, where))
        value = row + torch.maximum(value + beta, best)
    path = [int(value.argmax())]
    for origin in reversed(came_from):
        path.append(int(origin[path[-1]]))
    return path[::-1]


def of_all_paths(u, betas):
    paths = torch.cartesian_prod(*[torch.arange(u.shape[1])] * len(u))
    values = u[torch.arange(len(u)), paths].sum(1) + ((paths[:, 1:] == paths[:, :-1]) * torch.tensor(betas)).sum(1)
    return paths[int(values.argmax())]


def followers(sentences, V, more=0.1):
    first, second = [], []
    for tokens in sentences:
        for a, b in pairwise([V, *tokens, 0]):
            first.append(a)
            second.append(b)
    counts = torch.full((V + 1, V), more)
    counts = counts.index_put((torch.tensor(first), torch.tensor(second)), torch.tensor(1.0), accumulate=True)
    return (counts / counts.sum(1, keepdim=True)).log()


def followers_by_counter(sentences, V):
    seen = Counter(couple for tokens in sentences for couple in pairwise([V, *tokens, 0]))
    rows = [[seen[a, b] + 0.1 for b in range(V)] for a in range(V + 1)]
    return [[math.log(n / sum(row)) for n in row] for row in rows]


def without_start(sentences, V):
    counts = 0.1 + sum_of(sentences, V, lambda tokens: [*tokens, 0])
    return (counts / counts.sum(1, keepdim=True)).log()


def without_end(sentences, V):
    counts = 0.1 + sum_of(sentences, V, lambda tokens: [V, *tokens])
    return (counts / counts.sum(1, keepdim=True)).log()


def sum_of(sentences, V, line):
    counts = torch.zeros(V + 1, V)
    for tokens in sentences:
        for a, b in pairwise(line(tokens)):
            counts[a, b] += 1
    return counts


def jointly(sentences, V):
    counts = 0.1 + sum_of(sentences, V, lambda tokens: [V, *tokens, 0])
    return (counts / counts.sum()).log()


def entropy(alpha):
    return -(alpha * alpha.clamp(min=1e-9).log()).sum(-1)


def entropy_where(alpha):
    return torch.where(alpha > 0, -alpha * alpha.log(), 0).sum(2)


def estimate_by_two(words, codewords, table):
    nearest = (words @ codewords.T).topk(2).indices
    shares = torch.linalg.lstsq(codewords[nearest].mT, words[..., None]).solution[..., 0].clamp(min=0)
    return (table[:, nearest] * shares).sum((1, 2))


def two_by_hand(words, codewords, table):
    """The two normal equations, word by word."""
    total = torch.zeros(len(table))
    for word in words:
        i, j = (codewords @ word).topk(2).indices.tolist()
        a, b, c = codewords[i] @ codewords[i], codewords[i] @ codewords[j], codewords[j] @ codewords[j]
        x, y = codewords[i] @ word, codewords[j] @ word
        one, two = (c * x - b * y) / (a * c - b * b), (a * y - b * x) / (a * c - b * b)
        total += table[:, i] * one.clamp(min=0) + table[:, j] * two.clamp(min=0)
    return total


def nearest_alone(words, codewords, table):
    share, nearest = (words @ codewords.T).max(1)
    return table[:, nearest] @ share


def two_by(shares_of):
    def scores(words, codewords, table):
        products, nearest = (words @ codewords.T).topk(2)
        return (table[:, nearest] * shares_of(products)).sum((1, 2))

    return scores


def signed_shares(words, codewords, table):
    nearest = (words @ codewords.T).topk(2).indices
    shares = torch.linalg.lstsq(codewords[nearest].mT, words[..., None]).solution[..., 0]
    return (table[:, nearest] * shares).sum((1, 2))


RIGHT = {
    "check_rarity": (rarity, rarity_by_sets),
    "check_surplus": (surplus, surplus_by_loops),
    "check_cka": (cka, cka_by_likeness),
    "check_both_ways": (both_ways, both_ways_by_loops),
    "check_masked_by_meaning": (by_meaning_masked, by_meaning),
    "check_expected_couples": (expected_couples, expected_by_pictures),
    "check_mean_reciprocal_rank": (
        lambda ranks: 100 * (1 / ranks.double()).mean(),
        lambda ranks: 100 * sum(1 / rank for rank in ranks.tolist()) / len(ranks),
    ),
    "check_share_out": (share_out, lambda S, scale: (scale * S).log_softmax(1)),
    "check_viterbi_links": (viterbi_links, of_all_paths),
    "check_followers": (followers, followers_by_counter),
    "check_entropy": (entropy, entropy_where),
    "check_estimate_by_two": (estimate_by_two, two_by_hand),
}
WRONG = [
    ("check_rarity", rarity_of_occurrences, "not its occurrences"),
    ("check_rarity", rarity_among_words, "sentences are counted"),
    ("check_rarity", lambda w, s: math.exp(rarity(w, s)), "the logarithm is missing"),
    ("check_rarity", lambda w, s: -rarity(w, s), "turn the fraction over"),
    ("check_rarity", lambda w, s: rarity(w, s) / math.log(2), "the natural logarithm"),
    ("check_rarity", lambda w, s: math.log(len(s) / (1 + sum(w in t for t in s))), "nothing is added"),
    ("check_rarity", lambda w, s: 1.0, "wanted"),
    ("check_surplus", lambda t, K: surplus(t, 1), "log K is missing"),
    ("check_surplus", raw_surplus, "minus infinity too"),
    ("check_surplus", lambda t, K: raw_surplus(t, K).clamp(min=0), "0 / 0"),
    ("check_surplus", lambda t, K: surplus(t, K) / math.log(2), "the natural logarithm"),
    ("check_surplus", given_the_word, "nothing is left"),
    ("check_surplus", of_counts, "nothing is left"),
    ("check_surplus", lambda t, K: positive((t / t.sum()).log() - math.log(K)), "nothing is left"),
    ("check_surplus", lambda t, K: surplus(t.T, K), "wanted"),
    ("check_cka", cka_as_it_is, "centre the vectors first"),
    ("check_cka", cka_by_rows, "not over channels"),
    ("check_cka", lambda A, B: cka(A, B).sqrt(), "no root"),
    ("check_cka", cka_of_norms, "products of A with A"),
    ("check_cka", lambda A, B: 1 - cka(A, B), "how different they are"),
    ("check_cka", lambda A, B: ((A - A.mean(0)).T @ (B - B.mean(0))).norm() ** 2, "divide by the norms"),
    ("check_cka", lambda A, B: cka(A.T, B.T) if A.shape == B.shape else cka(A, A), "wanted"),
    ("check_both_ways", lambda v, m, s, w, a: alignment_scores(v, m, s, w), "that is eq. 8 alone"),
    ("check_both_ways", lambda v, m, s, w, a: both_ways(v, m, s, w, 1.0), "the weight is given"),
    ("check_both_ways", with_padded("regions"), "padded regions take part"),
    ("check_both_ways", with_padded("words"), "padded words take part"),
    ("check_both_ways", summed_over_regions, "not the sum"),
    ("check_both_ways", lambda v, m, s, w, a: a * of_regions(v, m, s, w), "eq. 8 is missing"),
    ("check_both_ways", lambda v, m, s, w, a: a * both_ways(v, m, s, w, 1.0), "the second part alone"),
    ("check_both_ways", lambda *a: both_ways(*a).T, "index order is (image, sentence)"),
    ("check_masked_by_meaning", only_pictures, "equal sentences still count"),
    (
        "check_masked_by_meaning",
        lambda *a: by_meaning_masked(*a, lambda picture, meaning: meaning | torch.eye(len(meaning), dtype=torch.bool)),
        "of one picture count still",
    ),
    ("check_masked_by_meaning", lambda *a: by_meaning_masked(*a, lambda p, m: p & m), "one reason is enough"),
    ("check_masked_by_meaning", by_sorted_words, "in the same order"),
    (
        "check_masked_by_meaning",
        lambda S, i, t, m: by_meaning_masked(S, i, [[len(one)] for one in t], m),
        "equally long is not equal",
    ),
    ("check_masked_by_meaning", lambda S, i, t, m: by_meaning_masked(S, i, t, 1.0), "the margin is given"),
    ("check_masked_by_meaning", lambda *a: by_meaning_masked(*a) / len(a[0]), "not a mean"),
    ("check_masked_by_meaning", lambda *a: float(by_meaning(*a)), "no gradient comes back"),
    ("check_expected_couples", lambda B, N: 2 * expected_couples(B, N), "counted twice"),
    ("check_expected_couples", lambda B, N: B * (B - 1) / 2 * 5 / (5 * N - 1), "four others are left"),
    ("check_expected_couples", lambda B, N: B * (B - 1) / 2 * 4 / (5 * N), "5 N - 1"),
    ("check_expected_couples", lambda B, N: B * (B - 1) / 2 / N, "drawn once"),
    ("check_expected_couples", lambda B, N: B * B / 2 * 4 / (5 * N - 1), "no couple with itself"),
    ("check_expected_couples", lambda B, N: 4 / (5 * N - 1), "for one couple"),
    ("check_mean_reciprocal_rank", lambda r: 100 / r.double().mean(), "not 1 / the mean rank"),
    ("check_mean_reciprocal_rank", lambda r: (1 / r.double()).mean(), "in percent"),
    ("check_mean_reciprocal_rank", lambda r: 100 / r.double().quantile(0.5), "not the median"),
    ("check_mean_reciprocal_rank", lambda r: 100 * (1 / (r + 1)).mean(), "ranks begin at 1"),
    ("check_mean_reciprocal_rank", lambda r: 100 * (1 / r).sum(), "not the sum"),
    ("check_mean_reciprocal_rank", lambda r: 100 * (r == 1).double().mean(), "that is R@1"),
    ("check_share_out", lambda S, a: share_out(S.T, a).T, "not over pictures"),
    ("check_share_out", lambda S, a: (a * S).softmax(1), "the logarithm of it"),
    ("check_share_out", lambda S, a: share_out(S, 1), "the scale is given"),
    ("check_share_out", lambda S, a: a * share_out(S, 1), "before the exponential"),
    ("check_share_out", naive_share, "exp of a large number"),
    ("check_share_out", lambda S, a: a * S - (a * S).logsumexp((0, 1)), "each picture by itself"),
    ("check_share_out", lambda S, a: a * (S - S.mean(1, keepdim=True)), "not the mean"),
    ("check_viterbi_links", lambda u, b: u.argmax(1), "every word chooses for itself"),
    ("check_viterbi_links", lambda u, b: viterbi_links(u, [sum(b) / len(b)] * len(b)), "has its own reward"),
    ("check_viterbi_links", lambda u, b: viterbi_links(u, b[:1] * len(b)), "has its own reward"),
    ("check_viterbi_links", lambda u, b: viterbi_links(u, [*b[1:], 0.0]), "has its own reward"),
    ("check_viterbi_links", lambda u, b: viterbi_links(u, b[::-1]), "has its own reward"),
    ("check_viterbi_links", lambda u, b: viterbi_links(u, b)[::-1], "back to front"),
    ("check_viterbi_links", lambda u, b: viterbi_links(u, b)[1:], "wanted"),
    ("check_followers", without_start, "START is missing"),
    ("check_followers", without_end, "END is missing"),
    ("check_followers", lambda s, V: followers(s, V, 1.0), "a tenth, not one"),
    ("check_followers", lambda s, V: followers(s, V, 0.0), "never seen may come still"),
    ("check_followers", lambda s, V: followers(s, V).exp(), "the logarithm is missing"),
    ("check_followers", jointly, "wanted"),
    ("check_followers", lambda s, V: followers(s, V)[:-1], "one row more"),
    ("check_followers", lambda s, V: followers([t[::-1] for t in s], V), "before a word"),
    ("check_entropy", lambda a: -(a * a.log()).sum(-1), "0 log 0 counts 0"),
    ("check_entropy", lambda a: -entropy(a), "the sign"),
    ("check_entropy", lambda a: entropy(a) / a.shape[-1], "not the mean"),
    ("check_entropy", lambda a: entropy(a) / math.log(2), "the natural logarithm"),
    ("check_entropy", lambda a: entropy(a.mT), "the last index"),
    ("check_entropy", lambda a: entropy(a).exp(), "the exponential of it"),
    ("check_entropy", lambda a: entropy(a).mean(), "wanted"),
    ("check_estimate_by_two", nearest_alone, "the nearest codeword alone"),
    ("check_estimate_by_two", two_by(lambda products: products), "solve for both shares at once"),
    ("check_estimate_by_two", two_by(lambda products: products.softmax(1)), "not a softmax"),
    ("check_estimate_by_two", two_by(lambda products: products * 0 + 0.5), "not a half each"),
    ("check_estimate_by_two", signed_shares, "a share below 0"),
    ("check_estimate_by_two", lambda *a: estimate_by_two(*a) / len(a[0]), "not a mean"),
]
