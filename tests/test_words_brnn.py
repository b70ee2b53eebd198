"""The BRNN against the paper's equations, word by word; padding, dropout, gradients."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vsa_lite.words.brnn import BRNN

X, HIDDEN, H = 4, 6, 5


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def make(seed=0, **options):
    """A BRNN in double precision whose every weight and bias matters."""
    generator = seeded(seed)
    brnn = BRNN(X, HIDDEN, H, generator=generator, **options).double().eval()
    with torch.no_grad():
        for parameter in brnn.parameters():
            parameter.normal_(0, 0.5, generator=generator)
    return brnn


def sentences(lengths, words=None, seed=1, padding=0.0):
    words = max([*lengths, 0]) if words is None else words
    x = torch.randn(len(lengths), words, X, generator=seeded(seed), dtype=torch.float64)
    mask = torch.arange(words) < torch.tensor(lengths, dtype=torch.long)[:, None]
    return torch.where(mask[..., None], x, torch.full((), padding, dtype=x.dtype)), mask


def literal(brnn, x):
    """Section 3.1.2 of the paper in numpy, one word at a time: [words, X] -> [words, H]."""
    layers = (brnn.input, brnn.forward_recurrent, brnn.backward_recurrent, brnn.output)
    (W_e, b_e), (W_f, b_f), (W_b, b_b), (W_d, b_d) = (
        (layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in layers
    )

    def f(a):
        return np.maximum(0, a)

    n = len(x)
    e = [f(W_e @ x[t] + b_e) for t in range(n)]
    h_f, h_b = {-1: np.zeros(HIDDEN)}, {n: np.zeros(HIDDEN)}
    for t in range(n):
        h_f[t] = f(e[t] + W_f @ h_f[t - 1] + b_f)
    for t in reversed(range(n)):
        h_b[t] = f(e[t] + W_b @ h_b[t + 1] + b_b)
    last = f if brnn.output_relu else lambda a: a
    return np.array([last(W_d @ (h_f[t] + h_b[t]) + b_d) for t in range(n)]).reshape(n, H)


LENGTHS = st.lists(st.integers(0, 7), min_size=1, max_size=6)


@settings(deadline=None, max_examples=40)
@given(LENGTHS, st.integers(0, 3), st.booleans(), st.integers(0, 99))
def test_equals_a_literal_loop_over_words(lengths, extra, output_relu, seed):
    brnn = make(seed, output_relu=output_relu)
    x, mask = sentences(lengths, max(lengths) + extra, seed)
    s = brnn(x, mask).detach()
    for k, n in enumerate(lengths):
        np.testing.assert_allclose(s[k, :n].numpy(), literal(brnn, x[k, :n].numpy()), atol=1e-12)
        assert (s[k, n:] == 0).all()


@settings(deadline=None, max_examples=40)
@given(LENGTHS, st.integers(0, 4), st.randoms())
def test_padding_and_neighbours_in_the_batch_change_nothing(lengths, extra, random):
    brnn = make()
    x, mask = sentences(lengths)
    alone = brnn(x, mask)
    wide, wide_mask = sentences(lengths, max(lengths) + extra, padding=torch.nan)  # whatever stands in the padding
    wide[:, : x.shape[1]] = torch.where(mask[..., None], x, torch.nan)
    torch.testing.assert_close(brnn(wide, wide_mask)[:, : x.shape[1]], alone, rtol=0, atol=1e-13)
    order = random.sample(range(len(lengths)), len(lengths))
    torch.testing.assert_close(brnn(x[order], mask[order]), alone[order], rtol=0, atol=1e-13)


def test_padding_gets_no_gradient_and_gives_none():
    brnn = make()
    x, mask = sentences([3, 0, 5, 1], 7)
    x.requires_grad_()
    brnn(x, mask).sum().backward()
    assert (x.grad[~mask] == 0).all()
    assert (x.grad[mask].abs().sum(1) > 0).all()
    found = [p.grad.clone() for p in brnn.parameters()]
    brnn.zero_grad()
    sum(brnn(x[k : k + 1, :n], mask[k : k + 1, :n]).sum() for k, n in enumerate([3, 0, 5, 1]) if n).backward()
    for one, other in zip(found, brnn.parameters(), strict=True):
        torch.testing.assert_close(one, other.grad)


def test_the_backward_direction_of_a_short_sentence_starts_at_its_own_last_word():
    brnn = make()
    with torch.no_grad():
        brnn.forward_recurrent.weight.zero_()
    x, mask = sentences([3, 9])
    s = brnn(x, mask)
    # the last word of the short one has nothing behind it: it is the same as a sentence of its own
    torch.testing.assert_close(s[0, 2], brnn(x[:1, 2:3], mask[:1, :1])[0, 0])
    # and the long sentence's last word reaches its first, while the short one's first does not reach its last
    changed = x.clone()
    changed[1, 8] += 1
    changed[0, 0] += 1
    moved = (brnn(changed, mask) - s).abs().sum(-1) > 0
    assert moved[1, 0]
    assert not moved[0, 1:].any()


def test_both_directions_see_the_whole_sentence():
    brnn = make()
    x, mask = sentences([6])
    for changed_word in (0, 5):
        changed = x.clone()
        changed[0, changed_word] += 3
        assert ((brnn(changed, mask) - brnn(x, mask)).abs().sum(-1) > 0).all()


def test_reading_backwards_is_the_same_with_both_directions_exchanged():
    brnn, mirrored = make(), make()
    mirrored.forward_recurrent, mirrored.backward_recurrent = brnn.backward_recurrent, brnn.forward_recurrent
    x, mask = sentences([5])
    torch.testing.assert_close(mirrored(x.flip(1), mask), brnn(x, mask).flip(1))


def test_numeric_gradients():
    brnn = make(output_relu=False)
    x, mask = sentences([4, 1, 3], 5)
    parameters = dict(brnn.named_parameters())

    def s(x, *values):
        return torch.func.functional_call(brnn, dict(zip(parameters, values, strict=True)), (x, mask))

    assert torch.autograd.gradcheck(s, (x.requires_grad_(), *parameters.values()), atol=1e-6)


def test_s_is_never_negative_with_the_last_relu_and_sometimes_without():
    x, mask = sentences([7, 5, 3])
    assert (make()(x, mask) >= 0).all()
    assert (make(output_relu=False)(x, mask) < 0).any()


def test_dropout_is_on_the_way_in_and_out_and_never_in_the_recurrence(monkeypatch):
    seen = []

    def dropout(name, factor):
        def forward(x):
            seen.append((name, tuple(x.shape)))
            return factor * x

        return forward

    brnn = make(input_dropout=0.5, output_dropout=0.5)
    x, mask = sentences([4, 2])
    monkeypatch.setattr(brnn.input_dropout, "forward", dropout("input", 2.0))
    monkeypatch.setattr(brnn.output_dropout, "forward", dropout("output", 0.5))
    s = brnn(x, mask).detach()
    # once each for the whole batch, not at every step; on x_t and on the sum of both directions
    assert seen == [("input", (6, X)), ("output", (6, HIDDEN))]
    without = make()
    with torch.no_grad():
        without.output.weight.mul_(0.5)
    torch.testing.assert_close(s, without(2 * x, mask).detach())


def test_dropout_drops_while_training_only():
    torch.manual_seed(0)
    brnn, plain = make(input_dropout=0.5, output_dropout=0.5), make()
    x, mask = sentences([7] * 50)
    assert torch.equal(brnn(x, mask), plain(x, mask))
    brnn.train()
    assert not torch.equal(brnn(x, mask), brnn(x, mask))
    assert torch.equal(make().train()(x, mask), plain(x, mask))  # nothing to drop by default


def test_first_weights_come_from_the_generator():
    one, same, other = (BRNN(X, HIDDEN, H, generator=seeded(seed)) for seed in (1, 1, 2))
    assert not torch.equal(one.input.weight, other.input.weight)
    assert not torch.equal(one.backward_recurrent.weight, other.backward_recurrent.weight)
    for a, b in zip(one.parameters(), same.parameters(), strict=True):
        assert torch.equal(a, b)
    for layer in (one.forward_recurrent, one.backward_recurrent):  # half an orthogonal matrix
        torch.testing.assert_close(layer.weight @ layer.weight.T, 0.25 * torch.eye(HIDDEN))
    assert not torch.equal(one.forward_recurrent.weight, one.backward_recurrent.weight)


def test_a_fresh_one_neither_dies_out_nor_explodes_over_a_long_sentence():
    brnn = BRNN(300, 512, 512, generator=seeded(3))
    x = torch.randn(2, 60, 300, generator=seeded(4))
    sizes = brnn(x, torch.ones(2, 60, dtype=torch.bool)).detach().norm(dim=-1)
    assert (sizes.max() / sizes.min()) < 5
    assert 1 < sizes.mean() / 512**0.5 < 5


def test_it_learns_what_only_the_other_end_of_the_sentence_tells():
    """Whether the first and the last word agree in sign, told by the second word's s."""
    generator = seeded(5)
    lengths = torch.randint(3, 8, (400,), generator=generator)
    x = torch.randn(400, 7, X, generator=generator)
    mask = torch.arange(7) < lengths[:, None]
    last = x[torch.arange(400), lengths - 1, 0]
    target = ((x[:, 0, 0] > 0) == (last > 0)).float()
    brnn = BRNN(X, 32, 16, generator=generator)
    read = nn.Linear(16, 1)
    optimiser = torch.optim.Adam([*brnn.parameters(), *read.parameters()], 0.01)
    for _ in range(150):
        logits = read(brnn(x, mask)[:, 1])[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(logits, target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.3


def test_no_sentence_and_no_word_give_zeros():
    brnn = make()
    for lengths, words in (([], 0), ([], 3), ([0, 0], 0), ([0, 0], 4)):
        x, mask = sentences(lengths, words)
        s = brnn(x, mask)
        assert s.shape == (len(lengths), words, H)
        assert (s == 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"word_size": 0}, "word_size must be at least 1, got 0"),
        ({"hidden_size": 0}, "hidden_size must be at least 1, got 0"),
        ({"output_size": -1}, "output_size must be at least 1, got -1"),
        ({"input_dropout": 1.0}, "dropout must be at least 0 and below 1, got 1.0"),
        ({"output_dropout": -0.1}, "dropout must be at least 0 and below 1, got -0.1"),
        ({"input_dropout": float("nan")}, "dropout must be at least 0 and below 1, got nan"),
    ],
)
def test_bad_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        BRNN(**({"word_size": X, "hidden_size": HIDDEN, "output_size": H} | options))


def test_bad_input_is_named():
    brnn = make()
    x, mask = sentences([3, 2])
    with pytest.raises(ValueError, match=r"must be \(sentences, words, 4\) .* got \(2, 3, 3\) and \(2, 3\)"):
        brnn(x[..., :3], mask)
    with pytest.raises(ValueError, match=r"got \(2, 3, 4\) and \(2, 2\)"):
        brnn(x, mask[:, :2])
    with pytest.raises(ValueError, match=r"got \(3, 4\) and \(3, 4\)"):
        brnn(x[0], torch.ones(3, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="real word behind a padded one"):
        brnn(x, torch.tensor([[True, True, True], [False, True, True]]))
    with pytest.raises(ValueError, match=r"word_mask must be bool.*got torch\.int64"):
        brnn(x, mask.long())
