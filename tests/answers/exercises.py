"""What the exercises ask for: two right answers to every self-check, and usual mistakes with the hint of each."""

import torch
from torchvision.ops import box_iou

from vsa_lite.alignment.scores import alignment_scores

UNKNOWN = "<unk>"


def encode_unknown(tokens, index):
    return [index.get(token, index[UNKNOWN]) for token in tokens]


def unknown_by_if(tokens, index):
    found = []
    for token in tokens:
        if token not in index:
            token = UNKNOWN
        found.append(index[token])
    return tuple(found)


def singular(token, index, ends=(("ies", "y"), ("es", ""), ("s", ""))):
    for end, instead in ends:
        if token not in index and token.endswith(end) and token[: -len(end)] + instead in index:
            return token[: -len(end)] + instead
    return token


def encode_plural(tokens, index, **ends):
    return [index[word] for word in (singular(token, index, **ends) for token in tokens) if word in index]


def plural_by_candidates(tokens, index):
    found = []
    for token in tokens:
        forms = [token]
        forms += [token[:-3] + "y"] if token.endswith("ies") else []
        forms += [token.removesuffix("es")] if token.endswith("es") else []
        forms += [token.removesuffix("s")]
        found += [index[form] for form in forms if form in index][:1]
    return found


def plural_by_one_ending(tokens, index):
    found = []
    for token in tokens:
        if token not in index and token.endswith("ies"):
            token = token[:-3] + "y"
        elif token not in index and token.endswith("es"):
            token = token[:-2]
        elif token not in index and token.endswith("s"):
            token = token[:-1]
        found += [index[token]] if token in index else []
    return found


def plural_first(tokens, index):
    bare = [token[:-2] if token.endswith("es") and token[:-2] in index else token for token in tokens]
    return encode_plural(bare, index)


def gradient(x, o, o_n, weights):
    true, false = (x * o).sum(1, keepdim=True), x @ o_n.T
    return -(1 - true.sigmoid()) * o + (weights * false.sigmoid()) @ o_n


def gradient_by_pairs(x, o, o_n, weights):
    rows = []
    for one, neighbour, weight in zip(x, o, weights, strict=True):
        row = -(-(one @ neighbour)).sigmoid() * neighbour
        for negative, share in zip(o_n, weight, strict=True):
            row = row + share * (one @ negative).sigmoid() * negative
        rows.append(row)
    return torch.stack(rows)


def pulled(x, o, o_n, weights):
    """Pulled the more, the more it is believed already."""
    true, false = (x * o).sum(1, keepdim=True), x @ o_n.T
    return -true.sigmoid() * o + (weights * false.sigmoid()) @ o_n


def gradient_by_o(x, o, o_n, weights):
    return -(1 - (x * o).sum(1, keepdim=True).sigmoid()) * x


def soften(boxes, scores, sigma, power=2):
    scores, order = scores.clone(), []
    for _ in range(len(boxes)):
        best = int(scores.argmax())
        order.append(best)
        scores *= torch.exp(-(box_iou(boxes[best][None], boxes)[0] ** power) / sigma)
        scores[best] = -1
    return torch.tensor(order)


def soften_by_sorting(boxes, scores, sigma):
    left, order = [(float(score), n) for n, score in enumerate(scores)], []
    overlap = box_iou(boxes, boxes)
    while left:
        best = max(left)[1]
        order.append(best)
        left = [(s * float(torch.exp(-(overlap[best, n] ** 2) / sigma)), n) for s, n in left if n != best]
    return order


def only_the_first_lowers(boxes, scores, sigma):
    best = int(scores.argmax())
    lowered = scores * torch.exp(-(box_iou(boxes[best][None], boxes)[0] ** 2) / sigma)
    lowered[best] = 2
    return lowered.argsort(descending=True)


def soften_afresh(boxes, scores, sigma):
    left, order = scores.clone(), []
    while len(order) < len(boxes):
        order.append(int(left.argmax()))
        left = scores * torch.exp(-(box_iou(boxes[order[-1]][None], boxes)[0] ** 2) / sigma)
        left[order] = -1
    return order


def soften_with_repeats(boxes, scores, sigma):
    scores, order = scores.clone(), []
    for _ in range(len(boxes)):
        order.append(int(scores.argmax()))
        scores *= torch.exp(-(box_iou(boxes[order[-1]][None], boxes)[0] ** 2) / sigma)
    return order


def soft_scores(v, region_mask, s, word_mask, temperature):
    products = torch.einsum("kih,lth->klti", v, s) / temperature
    products = products.masked_fill(~region_mask[:, None, None], -torch.inf)
    soft = products.logsumexp(-1) - region_mask.sum(1).log()[:, None, None]
    return (temperature * soft).masked_fill(~word_mask, 0).sum(-1)


def soft_scores_one_by_one(v, region_mask, s, word_mask, temperature):
    rows = []
    for regions, real in zip(v, region_mask, strict=True):
        row = []
        for words, spoken in zip(s, word_mask, strict=True):
            products = words[spoken] @ regions[real].T
            best = products.max(1, keepdim=True).values
            above = ((products - best) / temperature).exp().mean(1).log()
            row.append((best[:, 0] + temperature * above).sum())
        rows.append(torch.stack(row))
    return torch.stack(rows)


def by_naive_exp(v, region_mask, s, word_mask, temperature):
    exps = (torch.einsum("kih,lth->klti", v, s) / temperature).exp().masked_fill(~region_mask[:, None, None], 0)
    soft = (exps.sum(-1) / region_mask.sum(1)[:, None, None]).log()
    return (temperature * soft).masked_fill(~word_mask, 0).sum(-1)


def zeros_for_padding(v, region_mask, s, word_mask, temperature):
    products = torch.einsum("kih,lth->klti", v, s).masked_fill(~region_mask[:, None, None], 0) / temperature
    soft = products.logsumexp(-1) - region_mask.sum(1).log()[:, None, None]
    return (temperature * soft).masked_fill(~word_mask, 0).sum(-1)


def less_the_mean(v, region_mask, s, word_mask, temperature, regions):
    """With another number of regions to divide by."""
    factor = region_mask.sum(1) / regions
    return (
        soft_scores(v, region_mask, s, word_mask, temperature) + temperature * word_mask.sum(1) * factor.log()[:, None]
    )


def n_hardest(S, ids, margin, n):
    true, wrong = S.diagonal(), ids[:, None] != ids
    sentences = ((S - true[:, None] + margin).relu() * wrong).topk(n, dim=1).values
    images = ((S - true + margin).relu() * wrong).topk(n, dim=0).values
    return (sentences.sum() + images.sum()) / n


def n_hardest_by_loops(S, ids, margin, n):
    total = 0.0
    for k in range(len(S)):
        for line in (S[k], S[:, k]):
            hinges = [(line[j] - S[k, k] + margin).clamp(min=0) for j in range(len(S)) if ids[j] != ids[k]]
            total += sum(sorted(hinges, reverse=True)[:n]) / n
    return total


def with_the_diagonal(S, ids, margin, n):
    return n_hardest(S, torch.arange(len(S)), margin, n)


def all_negatives(S, ids, margin, n):
    true, wrong = S.diagonal(), ids[:, None] != ids
    return (((S - true[:, None] + margin).relu() + (S - true + margin).relu()) * wrong).sum()


def with_the_true_pair(S, ids, margin, n):
    true = S.diagonal()
    sentences = (S - true[:, None] + margin).relu().topk(n, dim=1).values
    return (sentences.sum() + (S - true + margin).relu().topk(n, dim=0).values.sum()) / n


def only_rows(S, ids, margin, n):
    hinges = (S - S.diagonal()[:, None] + margin).relu() * (ids[:, None] != ids)
    return hinges.topk(n, dim=1).values.sum() / n


def messages(u, beta):
    stay, forwards = beta * torch.eye(u.shape[1]), [u[0]]
    for row in u[1:]:
        forwards.append(row + (forwards[-1][:, None] + stay).logsumexp(0))
    return stay, forwards


def draw_path(u, beta, generator):
    stay, forwards = messages(u, beta)
    path = [int(torch.multinomial(forwards[-1].softmax(0), 1, generator=generator))]
    for message in reversed(forwards[:-1]):
        path.append(int(torch.multinomial((message + stay[:, path[-1]]).softmax(0), 1, generator=generator)))
    return path[::-1]


def draw_of_all(u, beta, generator):
    """Every path, with its probability."""
    words, regions = u.shape
    paths = torch.cartesian_prod(*[torch.arange(regions)] * words)
    values = u[torch.arange(words), paths].sum(1) + beta * (paths[:, 1:] == paths[:, :-1]).sum(1)
    return paths[int(torch.multinomial(values.softmax(0), 1, generator=generator))]


def draw_alone(u, beta, generator):
    return torch.multinomial(u.softmax(1), 1, generator=generator)[:, 0]


def draw_forwards(u, beta, generator):
    """From the messages, as if nothing came back from behind."""
    return [int(torch.multinomial(m.softmax(0), 1, generator=generator)) for m in messages(u, beta)[1]]


def draw_from_a_seed(u, beta, generator):
    torch.manual_seed(generator.initial_seed())
    return draw_path(u, beta, None)


def draw_from_the_front(u, beta, generator):
    """Each word given the one before it, as if nothing came after."""
    path = [int(torch.multinomial(u[0].softmax(0), 1, generator=generator))]
    for row in u[1:]:
        stays = beta * (torch.arange(len(row)) == path[-1])
        path.append(int(torch.multinomial((row + stays).softmax(0), 1, generator=generator)))
    return path


def draw_from_marginals(u, beta, generator):
    paths = torch.cartesian_prod(*[torch.arange(2)] * 3)
    values = u[torch.arange(3), paths].sum(1) + beta * (paths[:, 1:] == paths[:, :-1]).sum(1)
    ones = (paths * values.softmax(0)[:, None]).sum(0)
    return torch.bernoulli(ones, generator=generator).long()


def one_piece(u, beta):
    """Whether the best of all paths is a single region."""
    paths = torch.cartesian_prod(*[torch.arange(u.shape[1])] * len(u))
    stays = (paths[:, 1:] == paths[:, :-1]).sum(1)
    values = u[torch.arange(len(u)), paths].sum(1) + beta * stays
    return int(stays[values.argmax()]) == len(u) - 1


def breaking_point(u, high=None, rounds=24):
    low, high = 0.0, float(u.max() - u.min()) * len(u) if high is None else high
    if one_piece(u, 0.0):
        return 0.0
    for _ in range(rounds):
        middle = (low + high) / 2
        low, high = (low, middle) if one_piece(u, middle) else (middle, high)
    return high


def breaking_by_steps(u):
    beta, step = 0.0, float(u.max() - u.min()) * len(u)
    while step > 0.01:
        while not one_piece(u, beta):
            beta += step
        if beta == 0:
            return torch.tensor(0.0)
        beta, step = max(0.0, beta - step), step / 10
    return torch.tensor(beta + 10 * step)


def wrong_half(u):
    low, high = 0.0, float(u.max() - u.min()) * len(u)
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (middle, high) if one_piece(u, middle) else (low, middle)
    return low


def in_nucleus(log_y, p):
    y, words = log_y.exp().sort(dim=1, descending=True)
    return torch.zeros_like(y, dtype=torch.bool).scatter(1, words, y.cumsum(1) - y < p)


def nucleus_by_words(log_y, p):
    rows = []
    for y in log_y.exp().tolist():
        rows.append([sum(other for other in y if other > one) < p for one in y])
    return torch.tensor(rows)


def without_the_last(log_y, p):
    y, words = log_y.exp().sort(dim=1, descending=True)
    return torch.zeros_like(y, dtype=torch.bool).scatter(1, words, y.cumsum(1) < p)


def with_one_more(log_y, p):
    y, words = log_y.exp().sort(dim=1, descending=True)
    kept = (y.cumsum(1) < p).sum(1, keepdim=True) + 2
    return torch.zeros_like(y, dtype=torch.bool).scatter(1, words, torch.arange(y.shape[1]) < kept)


def from_the_bottom(log_y, p):
    y, words = log_y.exp().sort(dim=1)
    return torch.zeros_like(y, dtype=torch.bool).scatter(1, words, y.cumsum(1) - y < p)


def of_logarithms(log_y, p):
    y, words = log_y.sort(dim=1, descending=True)
    return torch.zeros_like(y, dtype=torch.bool).scatter(1, words, y.cumsum(1) - y < p)


def at_the_ranks(log_y, p):
    y = log_y.exp().sort(dim=1, descending=True).values
    return y.cumsum(1) - y < p


RIGHT = {
    "check_encode_unknown": (encode_unknown, unknown_by_if),
    "check_encode_plural": (encode_plural, plural_by_candidates),
    "check_gradient": (gradient, gradient_by_pairs),
    "check_soften": (soften, soften_by_sorting),
    "check_soft_scores": (soft_scores, soft_scores_one_by_one),
    "check_n_hardest": (n_hardest, n_hardest_by_loops),
    "check_draw_path": (draw_path, draw_of_all),
    "check_breaking_point": (breaking_point, breaking_by_steps),
    "check_in_nucleus": (in_nucleus, nucleus_by_words),
}
WRONG = [
    ("check_encode_unknown", lambda t, index: [index[w] for w in t if w in index], "no word is dropped here"),
    ("check_encode_unknown", lambda t, index: [index.get(w, 0) for w in t], "number 0 is the end"),
    ("check_encode_unknown", lambda t, index: [index.get(w, len(index)) for w in t], "a number already"),
    ("check_encode_unknown", lambda t, index: [index.get(w, 11) for w in t], "in the index that is given"),
    ("check_encode_unknown", lambda t, index: [index[UNKNOWN]] * len(t), "keep their own number"),
    ("check_encode_unknown", lambda t, index: [index[w] for w in t], "stops with KeyError"),
    ("check_encode_plural", lambda t, i: [i[w] for w in t if w in i], "plurals are dropped still"),
    ("check_encode_plural", lambda t, i: encode_plural(t, i, ends=(("es", ""), ("s", ""))), "-ies becomes -y"),
    ("check_encode_plural", lambda t, i: encode_plural(t, i, ends=(("ies", "y"), ("s", ""))), "-es may be the ending"),
    ("check_encode_plural", plural_first, "a word that is known itself stays"),
    (
        "check_encode_plural",
        lambda t, i: [i.get(w, i.get(w.rstrip("s"), 0)) for w in t],
        "unknown in the singular, too",
    ),
    ("check_encode_plural", lambda t, i: [i[singular(w, i)] for w in t], "stops with KeyError"),
    ("check_encode_plural", plural_by_one_ending, "try the next"),
    ("check_encode_plural", lambda t, i: [singular(w, i) for w in t if singular(w, i) in i], "wanted"),
    ("check_gradient", lambda *a: -gradient(*a), "points uphill"),
    ("check_gradient", lambda x, o, n, w: gradient(x, o, n, 0 * w), "the negatives push, too"),
    ("check_gradient", lambda x, o, n, w: gradient(x, 0 * o, n, w), "the true neighbour pulls, too"),
    ("check_gradient", lambda x, o, n, w: gradient(x, o, n, torch.ones_like(w)), "with its weight"),
    ("check_gradient", lambda *a: gradient(*a) / len(a[0]), "a sum over pairs"),
    ("check_gradient", lambda x, o, n, w: gradient(x, o, n, -w), "they have the other sign"),
    ("check_gradient", pulled, "the pull is 1 - sigmoid"),
    ("check_gradient", gradient_by_o, "the derivative by o"),
    ("check_gradient", lambda x, o, n, w: gradient(o, x, n, w), "x and o are exchanged"),
    ("check_gradient", lambda x, o, n, w: gradient(x, o, n, w).sum(0), "wanted"),
    ("check_gradient", lambda x, o, n, w: gradient(x, o, n, w) - o, "wanted"),
    ("check_soften", lambda b, s, g: s.argsort(descending=True), "never lowered"),
    ("check_soften", lambda b, s, g: soften(b, s, 0.3), "sigma is given"),
    ("check_soften", lambda b, s, g: soften(b, s, g, 1), "squared"),
    ("check_soften", only_the_first_lowers, "not only the first"),
    ("check_soften", soften_afresh, "what is lowered stays so"),
    ("check_soften", soften_with_repeats, "a box comes twice"),
    ("check_soften", lambda b, s, g: b[soften(b, s, g)], "indices, not the boxes"),
    ("check_soften", lambda b, s, g: soften(b, s, g).flip(0), "best first"),
    ("check_soften", lambda b, s, g: soften(b, s, g)[:3], "wanted"),
    ("check_soft_scores", lambda *a: alignment_scores(*a[:4]), "the hard maximum"),
    ("check_soft_scores", lambda v, m, s, w, t: soft_scores(v, m | True, s, w, t), "padded regions take part"),
    ("check_soft_scores", lambda v, m, s, w, t: soft_scores(v, m, s, w | True, t), "padded words are summed"),
    ("check_soft_scores", lambda v, m, s, w, t: soft_scores(v, m, s, w, 1.0), "the temperature is given"),
    ("check_soft_scores", lambda v, m, s, w, t: soft_scores(v, m, s, w, t) / t, "before the logarithm, too"),
    ("check_soft_scores", by_naive_exp, "exp is infinite"),
    ("check_soft_scores", zeros_for_padding, "exp(0) is 1"),
    ("check_soft_scores", lambda *a: less_the_mean(*a, 1), "the mean over regions is missing"),
    ("check_soft_scores", lambda *a: less_the_mean(*a, a[0].shape[1]), "R counts real regions"),
    ("check_soft_scores", lambda v, m, s, w, t: soft_scores(v, m, s, w, t) / w.sum(1), "wanted"),
    ("check_soft_scores", lambda *a: soft_scores(*a).T, "index order is (image, sentence)"),
    ("check_n_hardest", lambda S, ids, m, n: n * n_hardest(S, ids, m, n), "not their sum"),
    ("check_n_hardest", lambda S, ids, m, n: n_hardest(S, ids, m, 1), "the hardest one alone"),
    ("check_n_hardest", with_the_diagonal, "mask by image id"),
    ("check_n_hardest", all_negatives, "these are all negatives"),
    ("check_n_hardest", with_the_true_pair, "the true pair is no negative"),
    ("check_n_hardest", only_rows, "wrong pictures of each sentence are missing"),
    ("check_n_hardest", lambda S, ids, m, n: n_hardest(S, ids, 1.0, n), "the margin is given"),
    ("check_n_hardest", lambda S, ids, m, n: only_rows(S.T, ids, m, n), "wrong sentences of each picture are missing"),
    ("check_n_hardest", lambda *a: float(n_hardest(*a)), "no gradient comes back"),
    ("check_draw_path", lambda u, beta, g: draw_path(u, beta, None), "the same generator"),
    ("check_draw_path", lambda *a: draw_path(*a)[::-1], "back to front"),
    ("check_draw_path", draw_alone, "beta is not in it"),
    ("check_draw_path", draw_from_marginals, "from its marginal, by itself"),
    ("check_draw_path", lambda u, beta, g: u.argmax(1), "draw, do not take the best"),
    ("check_draw_path", lambda u, beta, g: draw_path(u, beta, torch.Generator().manual_seed(0)), "with the generator"),
    ("check_draw_path", draw_from_a_seed, "with the generator, as it is"),
    ("check_draw_path", draw_from_the_front, "of the draws, yours gives"),
    ("check_draw_path", draw_forwards, "of the draws, yours gives"),
    ("check_draw_path", lambda *a: draw_path(*a)[1:], "for each of 3 words"),
    ("check_breaking_point", lambda u: breaking_point(u) / float(u.std(correction=0)), "not in spreads"),
    ("check_breaking_point", lambda u: breaking_point(u, 64.0), "the interval ends too early"),
    ("check_breaking_point", lambda u: -breaking_point(u), "a reward is not negative"),
    ("check_breaking_point", lambda u: 0.0, "falls into several pieces"),
    ("check_breaking_point", lambda u: float(u.max() - u.min()) * len(u), "not the smallest"),
    ("check_breaking_point", lambda u: breaking_point(u, rounds=6), "more often"),
    ("check_breaking_point", wrong_half, "not the smallest"),
    ("check_in_nucleus", lambda y, p: in_nucleus(y, p).abs(), "stops with NotImplementedError"),
    ("check_in_nucleus", without_the_last, "one word too few"),
    ("check_in_nucleus", with_one_more, "one word too many"),
    ("check_in_nucleus", from_the_bottom, "the least probable words"),
    ("check_in_nucleus", of_logarithms, "these are logarithms"),
    ("check_in_nucleus", lambda y, p: in_nucleus(y[:1], p).expand_as(y), "wanted"),
    ("check_in_nucleus", lambda y, p: y.exp() >= p, "not a threshold for each word"),
    ("check_in_nucleus", lambda y, p: ~in_nucleus(y, p), "that is the tail"),
    ("check_in_nucleus", lambda y, p: in_nucleus(y, 0.8), "p is given"),
    ("check_in_nucleus", at_the_ranks, "go back from the sorted order"),
]
