"""Usual mistakes: each is handed in, by itself, in place of the function whose name it has before `__`."""

import torch


def coverage__of_words_not_of_occurrences(sentences, sizes):
    words = {word for sentence in sentences for word in sentence}
    return [min(size, len(words)) / len(words) for size in sizes]


def coverage__as_a_percentage(sentences, sizes):
    flat = [word for sentence in sentences for word in sentence]
    ordered = sorted((flat.count(word) for word in set(flat)), reverse=True)
    return [100 * sum(ordered[:size]) / len(flat) for size in sizes]


def coverage__rarest_first(sentences, sizes):
    flat = [word for sentence in sentences for word in sentence]
    ordered = sorted(flat.count(word) for word in set(flat))
    return [sum(ordered[:size]) / len(flat) for size in sizes]


def coverage__gathered_in_the_first_sentence(sentences, sizes):
    flat = sentences[0]
    for sentence in sentences[1:]:
        flat += sentence
    ordered = sorted((flat.count(word) for word in set(flat)), reverse=True)
    return [sum(ordered[:size]) / len(flat) for size in sizes]


def window_pairs__right_side_only(numbers, window):
    places = range(len(numbers))
    return [(numbers[i], numbers[j]) for i in places for j in places if 0 < j - i <= window]


def window_pairs__off_by_one(numbers, window):
    places = range(len(numbers))
    return [(numbers[i], numbers[j]) for i in places for j in places if 0 < abs(i - j) < window]


def window_pairs__itself_too(numbers, window):
    places = range(len(numbers))
    return [(numbers[i], numbers[j]) for i in places for j in places if abs(i - j) <= window]


def window_pairs__no_word_twice(numbers, window):
    places = range(len(numbers))
    near = [(numbers[i], numbers[j]) for i in places for j in places if 0 < abs(i - j) <= window]
    return list(dict.fromkeys(near))


def window_pairs__padded_in_place(numbers, window):
    places = range(len(numbers))
    numbers += [None] * window
    near = [(i, j) for i in places for j in range(max(0, i - window), i + window + 1) if j != i]
    return [(numbers[i], numbers[j]) for i, j in near if numbers[j] is not None]


def cbow_loss__sum_of_the_context(context, true, drawn):
    logsigmoid = torch.nn.functional.logsigmoid
    total = context.sum(0)
    return -logsigmoid(true @ total) - logsigmoid(-drawn @ total).sum()


def cbow_loss__no_minus_inside(context, true, drawn):
    logsigmoid = torch.nn.functional.logsigmoid
    mean = context.mean(0)
    return -logsigmoid(true @ mean) - logsigmoid(drawn @ mean).sum()


def cbow_loss__mean_of_the_negatives(context, true, drawn):
    logsigmoid = torch.nn.functional.logsigmoid
    mean = context.mean(0)
    return -logsigmoid(true @ mean) - logsigmoid(-drawn @ mean).mean()


def cbow_loss__logarithm_of_a_sigmoid(context, true, drawn):
    mean = context.mean(0)
    return -(true @ mean).sigmoid().log() - (-drawn @ mean).sigmoid().log().sum()


def cbow_loss__gathered_in_the_context(context, true, drawn):
    logsigmoid, mean = torch.nn.functional.logsigmoid, context[0]
    for row in context[1:]:
        mean += row
    mean /= len(context)
    return -logsigmoid(true @ mean) - logsigmoid(-drawn @ mean).sum()


def analogy__one_of_the_three(a, b, c, vectors):
    wanted = vectors[b] - vectors[a] + vectors[c]
    return int((torch.nn.functional.normalize(vectors, dim=1) @ wanted).argmax())


def analogy__plain_product(a, b, c, vectors):
    likeness = vectors @ (vectors[b] - vectors[a] + vectors[c])
    likeness[[a, b, c]] = -torch.inf
    return int(likeness.argmax())


def analogy__the_wrong_way_round(a, b, c, vectors):
    likeness = torch.nn.functional.normalize(vectors, dim=1) @ (vectors[a] - vectors[b] + vectors[c])
    likeness[[a, b, c]] = -torch.inf
    return int(likeness.argmax())


def analogy__zero_for_the_three(a, b, c, vectors):
    likeness = torch.nn.functional.normalize(vectors, dim=1) @ (vectors[b] - vectors[a] + vectors[c])
    likeness[[a, b, c]] = 0
    return int(likeness.argmax())


def analogy__normalised_in_place(a, b, c, vectors):
    wanted = vectors[b] - vectors[a] + vectors[c]
    vectors /= vectors.norm(dim=1, keepdim=True)
    likeness = vectors @ wanted
    likeness[[a, b, c]] = -torch.inf
    return int(likeness.argmax())


def backward_states__through_the_padding(e, mask, W):
    h, states = torch.zeros_like(e[:, 0]), []
    for t in reversed(range(e.shape[1])):
        h = torch.relu(e[:, t] + h @ W.T)
        states.append(h)
    return torch.stack(states[::-1], 1) * mask[..., None]


def backward_states__last_word_first(e, mask, W):
    h, states = torch.zeros_like(e[:, 0]), []
    for t in reversed(range(e.shape[1])):
        h = torch.relu(e[:, t] + h @ W.T) * mask[:, t, None]
        states.append(h)
    return torch.stack(states, 1)


def backward_states__forwards(e, mask, W):
    h, states = torch.zeros_like(e[:, 0]), []
    for t in range(e.shape[1]):
        h = torch.relu(e[:, t] + h @ W.T) * mask[:, t, None]
        states.append(h)
    return torch.stack(states, 1)


def backward_states__no_relu(e, mask, W):
    h, states = torch.zeros_like(e[:, 0]), []
    for t in reversed(range(e.shape[1])):
        h = (e[:, t] + h @ W.T) * mask[:, t, None]
        states.append(h)
    return torch.stack(states[::-1], 1)


def backward_states__written_into_e(e, mask, W):
    h = torch.zeros_like(e[:, 0])
    for t in reversed(range(e.shape[1])):
        h = e[:, t] = torch.relu(e[:, t] + h @ W.T) * mask[:, t, None]
    return e
