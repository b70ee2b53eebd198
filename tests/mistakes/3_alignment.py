"""Usual mistakes: each is handed in, by itself, in place of the function whose name it has before `__`."""

import torch


def two_best__no_mask(v, region_mask, s, word_mask):
    products = torch.einsum("kih,lth->klti", v, s)
    return products.topk(2, dim=-1).values.mean(-1).masked_fill(~word_mask, 0).sum(-1)


def two_best__padding_is_zero(v, region_mask, s, word_mask):
    products = torch.einsum("kih,lth->klti", v, s).masked_fill(~region_mask[:, None, None], 0)
    return products.topk(2, dim=-1).values.mean(-1).masked_fill(~word_mask, 0).sum(-1)


def two_best__only_the_best(v, region_mask, s, word_mask):
    products = torch.einsum("kih,lth->klti", v, s).masked_fill(~region_mask[:, None, None], -torch.inf)
    return products.amax(-1).masked_fill(~word_mask, 0).sum(-1)


def two_best__one_region_forgotten(v, region_mask, s, word_mask):
    products = torch.einsum("kih,lth->klti", v, s).masked_fill(~region_mask[:, None, None], -torch.inf)
    return products.topk(2, dim=-1).values.mean(-1).masked_fill(~word_mask, 0).sum(-1)


def two_best__two_of_one(v, region_mask, s, word_mask):
    products = torch.einsum("kih,lth->klti", v, s).masked_fill(~region_mask[:, None, None], -torch.inf)
    best = products.topk(2, dim=-1).values
    second = torch.where(best[..., 1].isinf(), best[..., 0], best[..., 1])
    return ((best[..., 0] + second) / 2).masked_fill(~word_mask, 0).sum(-1)


def two_best__padding_overwritten(v, region_mask, s, word_mask):
    s[~word_mask] = 0
    products = torch.einsum("kih,lth->klti", v, s).masked_fill(~region_mask[:, None, None], -torch.inf)
    best = products.topk(min(2, v.shape[1]), dim=-1).values
    return best.where(~best.isinf(), best[..., :1]).mean(-1).masked_fill(~word_mask, 0).sum(-1)


def semi_hard_loss__the_hardest(S, image_ids, margin):
    wrong, true = image_ids[:, None] != image_ids, S.diagonal()
    worst = [part.masked_fill(~wrong, -torch.inf).amax(1) for part in (S, S.T)]
    return sum((w - true + margin).clamp(min=0).sum() for w in worst)


def semi_hard_loss__one_direction(S, image_ids, margin):
    wrong, true = image_ids[:, None] != image_ids, S.diagonal()
    below = S.masked_fill(~wrong | (true[:, None] <= S), -torch.inf)
    return (below.amax(1) - true + margin).clamp(min=0).sum()


def semi_hard_loss__diagonal_only(S, image_ids, margin):
    wrong, true, total = ~torch.eye(len(S), dtype=torch.bool), S.diagonal(), 0.0
    for part in (S, S.T):
        below = part.masked_fill(~wrong | (part >= true[:, None]), -torch.inf)
        total = total + (below.amax(1) - true + margin).clamp(min=0).sum()
    return total


def semi_hard_loss__below_or_equal(S, image_ids, margin):
    wrong, true, total = image_ids[:, None] != image_ids, S.diagonal(), 0.0
    for part in (S, S.T):
        below = part.masked_fill(~wrong | (part > true[:, None]), -torch.inf)
        total = total + (below.amax(1) - true + margin).clamp(min=0).sum()
    return total


def semi_hard_loss__masked_in_place(S, image_ids, margin):
    true, total = S.diagonal().clone(), 0.0
    S[image_ids[:, None] == image_ids] = -torch.inf
    for part in (S, S.T):
        below = part.masked_fill(part >= true[:, None], -torch.inf)
        total = total + (below.amax(1) - true + margin).clamp(min=0).sum()
    return total


def found_within__kind_to_ties(S, right, k):
    best = S.masked_fill(~right, -torch.inf).amax(0)
    return float((((best < S) & ~right).sum(0) < k).double().mean())


def found_within__all_must_be_found(S, right, k):
    worst = S.masked_fill(~right, torch.inf).amin(0)
    return float((1 + ((worst <= S) & ~right).sum(0) <= k).double().mean())


def found_within__share_of_the_first(S, right, k):
    first = S.argsort(0, descending=True)[:k]
    return float(right.gather(0, first).double().mean())


def found_within__right_ones_in_the_way(S, right, k):
    worst = S.masked_fill(~right, torch.inf).amin(0)
    return float(((worst <= S).sum(0) <= k).double().mean())


def found_within__scores_overwritten(S, right, k):
    wrong = S.masked_fill(right, -torch.inf)
    S[~right] = -torch.inf
    return float((1 + (wrong >= S.amax(0)).sum(0) <= k).double().mean())


def path_through__known_words_changed_afterwards(u, beta, known):
    path = path_through__nothing_known(u, beta, {})
    for word, region in known.items():
        path[word] = region
    return path


def path_through__nothing_known(u, beta, known):
    stay = beta * torch.eye(u.shape[1], dtype=u.dtype)
    best, back = u[0], []
    for row in u[1:]:
        value, came_from = (best[:, None] + stay).max(0)
        best = row + value
        back.append(came_from)
    path = [int(best.argmax())]
    for came_from in reversed(back):
        path.append(int(came_from[path[-1]]))
    return path[::-1]


def path_through__word_by_word(u, beta, known):
    path = []
    for word, row in enumerate(u):
        bonus = row.clone()
        if path:
            bonus[path[-1]] += beta
        path.append(known.get(word, int(bonus.argmax())))
    return path


def path_through__a_reward_for_the_known(u, beta, known):
    u = u.clone()
    for word, region in known.items():
        u[word, region] += 100
    return path_through__nothing_known(u, beta, {})


def path_through__masked_in_place(u, beta, known):
    for word, region in known.items():
        u[word, torch.arange(u.shape[1]) != region] = -torch.inf
    return path_through__nothing_known(u, beta, {})


def joined_runs__to_the_right(path, minimum):
    return joined_runs__first_run_left_alone(path[::-1], minimum)[::-1]


def joined_runs__as_they_are(path, minimum):
    return list(path)


def joined_runs__first_run_joined_once(path, minimum, times=1):
    runs = []
    for region in path:
        if runs and runs[-1][0] == region:
            runs[-1][1] += 1
        else:
            runs.append([region, 1])
    while times and len(runs) > 1 and runs[0][1] < minimum:
        runs[1][1] += runs.pop(0)[1]
        times -= 1
    kept = runs[:1]
    for region, length in runs[1:]:
        if length < minimum or kept[-1][0] == region:
            kept[-1][1] += length
        else:
            kept.append([region, length])
    return [region for region, length in kept for _ in range(length)]


def joined_runs__first_run_left_alone(path, minimum):
    return joined_runs__first_run_joined_once(path, minimum, times=0)


def joined_runs__exchanged_in_place(path, minimum):
    path[:] = joined_runs__first_run_joined_once(path, minimum, times=len(path))
    return path
