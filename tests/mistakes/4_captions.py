"""Usual mistakes: each is handed in, by itself, in place of the function whose name it has before `__`."""

import math

import torch


def gated_step__gates_exchanged(x, h, W, U):
    z = torch.sigmoid(x @ W["z"].T + h @ U["z"].T)
    r = torch.sigmoid(x @ W["r"].T + h @ U["r"].T)
    n = torch.tanh(x @ W["n"].T + (r * h) @ U["n"].T)
    return z * n + (1 - z) * h


def gated_step__reset_after_the_product(x, h, W, U):
    z = torch.sigmoid(x @ W["z"].T + h @ U["z"].T)
    r = torch.sigmoid(x @ W["r"].T + h @ U["r"].T)
    n = torch.tanh(x @ W["n"].T + r * (h @ U["n"].T))
    return (1 - z) * n + z * h


def gated_step__sigmoid_for_tanh(x, h, W, U):
    z = torch.sigmoid(x @ W["z"].T + h @ U["z"].T)
    r = torch.sigmoid(x @ W["r"].T + h @ U["r"].T)
    n = torch.sigmoid(x @ W["n"].T + (r * h) @ U["n"].T)
    return (1 - z) * n + z * h


def gated_step__h_overwritten(x, h, W, U):
    z = torch.sigmoid(x @ W["z"].T + h @ U["z"].T)
    r = torch.sigmoid(x @ W["r"].T + h @ U["r"].T)
    n = torch.tanh(x @ W["n"].T + (r * h) @ U["n"].T)
    h *= z
    h += (1 - z) * n
    return h


def smoothed_loss__not_smoothed(log_y, guess, real, epsilon):
    return -log_y.gather(2, guess[..., None])[..., 0][real].mean()


def smoothed_loss__padding_counts(log_y, guess, real, epsilon):
    true = log_y.gather(2, guess[..., None])[..., 0]
    return (-(1 - epsilon) * true - epsilon * log_y.mean(2)).mean()


def smoothed_loss__sum_over_words(log_y, guess, real, epsilon):
    true = log_y.gather(2, guess[..., None])[..., 0]
    return (-(1 - epsilon) * true - epsilon * log_y.sum(2))[real].mean()


def smoothed_loss__only_the_others(log_y, guess, real, epsilon):
    true = log_y.gather(2, guess[..., None])[..., 0]
    others = (log_y.sum(2) - true) / (log_y.shape[2] - 1)
    return (-(1 - epsilon) * true - epsilon * others)[real].mean()


def smoothed_loss__padding_overwritten(log_y, guess, real, epsilon):
    log_y[~real] = 0
    true = log_y.gather(2, guess[..., None])[..., 0]
    return (-(1 - epsilon) * true - epsilon * log_y.mean(2)).sum() / real.sum()


def in_order(y):
    """The words by how near they are to what one expects, and their probabilities in that order."""
    entropy = -torch.xlogy(y, y).sum(1, keepdim=True)
    words = (-y.log() - entropy).abs().argsort(1)
    return y.gather(1, words), words


def typical__not_divided_by_the_sum(y, p):
    ordered, words = in_order(y)
    return torch.zeros_like(y).scatter(1, words, ordered * (ordered.cumsum(1) - ordered < p))


def typical__most_probable_first(y, p):
    ordered, words = y.sort(1, descending=True)
    kept = torch.zeros_like(y).scatter(1, words, ordered * (ordered.cumsum(1) - ordered < p))
    return kept / kept.sum(1, keepdim=True)


def typical__one_word_too_few(y, p):
    ordered, words = in_order(y)
    kept = torch.zeros_like(y).scatter(1, words, ordered * (ordered.cumsum(1) <= p))
    return kept / kept.sum(1, keepdim=True).clamp(min=1e-9)


def typical__one_word_too_many(y, p):
    ordered, words = in_order(y)
    kept = torch.zeros_like(y).scatter(1, words, ordered * (ordered.cumsum(1) - ordered <= p))
    return kept / kept.sum(1, keepdim=True)


def typical__in_the_sorted_order(y, p):
    ordered, _ = in_order(y)
    kept = ordered * (ordered.cumsum(1) - ordered < p)
    return kept / kept.sum(1, keepdim=True)


def typical__zero_times_infinity(y, p):
    entropy = -(y * y.log()).sum(1, keepdim=True)
    words = (-y.log() - entropy).abs().argsort(1)
    ordered = y.gather(1, words)
    kept = torch.zeros_like(y).scatter(1, words, ordered * (ordered.cumsum(1) - ordered < p))
    return kept / kept.sum(1, keepdim=True)


def typical__left_out_in_place(y, p):
    ordered, words = in_order(y)
    left_out = torch.zeros_like(y, dtype=torch.bool).scatter(1, words, ordered.cumsum(1) - ordered >= p)
    y[left_out] = 0
    return y / y.sum(1, keepdim=True)


def fair_to_length__without_end(sentences, log_probabilities, alpha):
    scores = [log_p / max(1, len(words)) ** alpha for words, log_p in zip(sentences, log_probabilities, strict=True)]
    return scores.index(max(scores))


def fair_to_length__log_p_alone(sentences, log_probabilities, alpha):
    return max(range(len(sentences)), key=log_probabilities.__getitem__)


def fair_to_length__multiplied(sentences, log_probabilities, alpha):
    scores = [log_p * (len(words) + 1) ** alpha for words, log_p in zip(sentences, log_probabilities, strict=True)]
    return scores.index(max(scores))


def fair_to_length__divided_in_place(sentences, log_probabilities, alpha):
    for number, words in enumerate(sentences):
        log_probabilities[number] /= (len(words) + 1) ** alpha
    return log_probabilities.index(max(log_probabilities))


def distinct__by_captions(captions, n):
    grams = [tuple(words[k : k + n]) for words in captions for k in range(len(words) - n + 1)]
    return len(set(grams)) / len(captions) if captions else 0.0


def distinct__across_captions(captions, n):
    flat = [word for words in captions for word in words]
    grams = [tuple(flat[k : k + n]) for k in range(len(flat) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def distinct__mean_of_captions(captions, n):
    each = []
    for words in captions:
        grams = [tuple(words[k : k + n]) for k in range(len(words) - n + 1)]
        each += [len(set(grams)) / len(grams)] if grams else []
    return sum(each) / len(each) if each else 0.0


def distinct__used_up(captions, n):
    grams = []
    while captions:
        words = captions.pop()
        grams += [tuple(words[k : k + n]) for k in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def focus__all_regions_of_the_batch(alpha, region_mask, word_mask):
    entropy = -torch.xlogy(alpha, alpha).sum(2)
    return float((1 - entropy / math.log(alpha.shape[2]))[word_mask].mean())


def focus__padded_words_too(alpha, region_mask, word_mask):
    entropy = -torch.xlogy(alpha, alpha).masked_fill(~region_mask[:, None], 0).sum(2)
    largest = region_mask.sum(1).double().log()[:, None]
    return float(torch.where(largest > 0, 1 - entropy / largest.clamp(min=1e-9), 1.0).mean())


def focus__entropy_itself(alpha, region_mask, word_mask):
    entropy = -torch.xlogy(alpha, alpha).masked_fill(~region_mask[:, None], 0).sum(2)
    return float(entropy[word_mask].mean())


def focus__kept_from_zero_in_place(alpha, region_mask, word_mask):
    alpha.clamp_(min=1e-9)
    entropy = -(alpha * alpha.log()).masked_fill(~region_mask[:, None], 0).sum(2)
    largest = region_mask.sum(1).double().log()[:, None]
    each = torch.where(largest > 0, 1 - entropy / largest.clamp(min=1e-9), 1.0)
    return float(each[word_mask].mean())
