"""The chain against enumeration of every path; its limits, its marginals, its gradients."""

import math
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vsa_lite.alignment.chain import best_path, marginals, relative_beta, segments

PAD = 1e6  # what stands where nothing is read


def example(seed=0, sentences=6, words=4, regions=3, integers=False, dtype=torch.float64):
    """Products with ragged masks; regions are padded anywhere, words on the right."""
    generator = torch.Generator().manual_seed(seed)
    u = torch.randn(sentences, words, regions, generator=generator, dtype=dtype)
    if integers:
        u = (2 * u).round()  # many paths of equal value
    word_mask = torch.arange(words) < torch.randint(1, words + 1, (sentences, 1), generator=generator)
    region_mask = torch.rand(sentences, regions, generator=generator) < 0.7
    region_mask[torch.arange(sentences), torch.randint(regions, (sentences,), generator=generator)] = True
    return u.masked_fill(~(word_mask[..., None] & region_mask[:, None]), PAD), word_mask, region_mask


def value_of(u, path, beta):
    stays = sum(a == b for a, b in pairwise(path))
    return sum(float(u[j, i]) for j, i in enumerate(path)) + beta * stays


def every_path(u, word_mask, region_mask, beta):
    """Each path of one sentence over its real words and regions, with its value."""
    real = region_mask.nonzero()[:, 0].tolist()
    return {path: value_of(u, path, beta) for path in product(real, repeat=int(word_mask.sum()))}


def enumerated_marginals(u, word_mask, region_mask, beta, temperature=1.0):
    out = torch.zeros_like(u)
    paths = every_path(u, word_mask, region_mask, beta)
    highest = max(paths.values())
    weights = {path: math.exp((value - highest) / temperature) for path, value in paths.items()}
    for path, weight in weights.items():
        for j, i in enumerate(path):
            out[j, i] += weight / sum(weights.values())
    return out


sizes = st.tuples(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 5), st.integers(1, 4), st.booleans())
betas = st.sampled_from([0.0, 0.25, 1.0, 3.0, 40.0])


# the best path


@settings(max_examples=80, deadline=None)
@given(sizes, betas)
def test_the_best_path_is_the_best_of_all(size, beta):
    u, word_mask, region_mask = example(*size)
    path, value = best_path(u, word_mask, region_mask, beta)
    assert path.dtype == torch.int64
    for k in range(len(u)):
        paths = every_path(u[k], word_mask[k], region_mask[k], beta)
        found = tuple(path[k, : int(word_mask[k].sum())].tolist())
        assert found in paths, "a padded region was taken"
        assert paths[found] == pytest.approx(max(paths.values()))
        assert float(value[k]) == pytest.approx(paths[found])
        assert not path[k][~word_mask[k]].any()


def test_one_beta_for_each_sentence():
    u, word_mask, region_mask = example(1)
    beta = torch.linspace(0, 2, len(u), dtype=u.dtype)
    path, value = best_path(u, word_mask, region_mask, beta)
    probability = marginals(u, word_mask, region_mask, beta)
    for k in range(len(u)):
        alone = [part[k : k + 1] for part in (u, word_mask, region_mask)]
        one, own = best_path(*alone, float(beta[k]))
        assert path[k].tolist() == one[0].tolist()
        torch.testing.assert_close(value[k], own[0])
        torch.testing.assert_close(probability[k], marginals(*alone, float(beta[k]))[0])


def test_beta_0_gives_each_word_its_best_region():
    u, word_mask, region_mask = example(2, words=9, regions=6)
    masked = u.masked_fill(~region_mask[:, None], -torch.inf)
    path, value = best_path(u, word_mask, region_mask, 0.0)
    assert torch.equal(path, masked.argmax(2) * word_mask)
    torch.testing.assert_close(value, (masked.amax(2) * word_mask).sum(1))
    expected = masked.softmax(2) * word_mask[..., None]
    torch.testing.assert_close(marginals(u, word_mask, region_mask, 0.0), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("beta", [1e3, 1e7, 1e30])
def test_a_large_beta_gives_one_region_the_one_with_the_highest_sum(beta, dtype):
    u, word_mask, region_mask = example(3, sentences=20, words=9, regions=6, dtype=dtype)
    sums = (u * word_mask[..., None]).sum(1).masked_fill(~region_mask, -torch.inf)
    path, value = best_path(u, word_mask, region_mask, beta)
    assert torch.equal(path, sums.argmax(1)[:, None] * word_mask)
    torch.testing.assert_close(value, sums.amax(1) + beta * (word_mask.sum(1) - 1))
    expected = sums.softmax(1)[:, None] * word_mask[..., None]
    torch.testing.assert_close(marginals(u, word_mask, region_mask, beta), expected)


def test_a_larger_beta_never_changes_region_more_often():
    u, word_mask, region_mask = example(4, sentences=50, words=12, regions=5)
    both = word_mask[:, 1:] & word_mask[:, :-1]
    changes = []
    for beta in (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0):
        path, _ = best_path(u, word_mask, region_mask, beta)
        changes.append(((path[:, 1:] != path[:, :-1]) & both).sum(1))
    assert all((after <= before).all() for before, after in pairwise(changes))
    assert changes[0].sum() > 100
    assert changes[-1].sum() == 0


def test_among_equals_it_stays_and_then_takes_the_lower_index():
    mask = torch.ones(1, 3, dtype=torch.bool)
    assert best_path(torch.zeros(1, 3, 3), mask, mask, 0.0)[0].tolist() == [[0, 0, 0]]
    u = torch.tensor([[[0.0, 2, 2], [1, 1, 1], [2, 0, 2]]])
    assert best_path(u, mask, mask, 0.0)[0].tolist() == [[1, 0, 0]]
    u = torch.tensor([[[2.0, 2, 0], [0, 0, 0], [0, 2, 0]]])
    assert best_path(u, mask, mask, 0.0)[0].tolist() == [[1, 1, 1]]
    # to leave 1 for 2 costs beta = 1 and gains 1: it stays
    u = torch.tensor([[[0.0, 2, 0], [0, 0, 1], [0, 2, 0]]])
    assert best_path(u, mask, mask, 1.0)[0].tolist() == [[1, 1, 1]]


# marginals


@settings(max_examples=60, deadline=None)
@given(sizes, betas, st.sampled_from([0.5, 1.0, 4.0]))
def test_marginals_equal_enumeration_and_sum_to_one(size, beta, temperature):
    u, word_mask, region_mask = example(*size)
    probability = marginals(u, word_mask, region_mask, beta, temperature)
    for k in range(len(u)):
        expected = enumerated_marginals(u[k], word_mask[k], region_mask[k], beta, temperature)
        torch.testing.assert_close(probability[k], expected, atol=1e-9, rtol=1e-7)
    torch.testing.assert_close(probability.sum(2), word_mask.to(u.dtype))
    assert not probability[~(word_mask[..., None] & region_mask[:, None])].any()


@pytest.mark.parametrize("beta", [0.0, 0.7, 5.0])
def test_towards_temperature_0_the_best_path_remains(beta):
    u, word_mask, region_mask = example(5, sentences=20, words=8, regions=5)
    path, _ = best_path(u, word_mask, region_mask, beta)
    for temperature in (1e-3, 1e-30):
        probability = marginals(u, word_mask, region_mask, beta, temperature)
        taken = torch.nn.functional.one_hot(path, 5) * word_mask[..., None]
        torch.testing.assert_close(probability, taken.double(), atol=1e-6, rtol=0)


def test_at_a_high_temperature_every_region_is_as_likely():
    u, word_mask, region_mask = example(6)
    even = (region_mask / region_mask.sum(1, keepdim=True))[:, None] * word_mask[..., None]
    torch.testing.assert_close(marginals(u, word_mask, region_mask, 1.0, 1e9), even.double(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("beta", [0.0, 1e-38, 1e-8, 1.0, 80.0, 1e4, 1e30])
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e4])
def test_extremes_give_numbers(beta, size, dtype):
    u, word_mask, region_mask = example(7, words=20, dtype=dtype)
    u = (u * size).requires_grad_()
    probability = marginals(u, word_mask, region_mask, beta)
    assert probability.isfinite().all()
    torch.testing.assert_close(probability.sum(2), word_mask.to(dtype))
    probability.square().sum().backward()
    assert u.grad.isfinite().all()
    path, value = best_path(u.detach(), word_mask, region_mask, beta)
    assert value.isfinite().all()
    assert region_mask.gather(1, path)[word_mask].all()


@pytest.mark.parametrize("beta", [0.3, 2.0])
def test_gradients_are_right(beta):
    u, word_mask, region_mask = example(8, sentences=3)
    u.masked_fill_(u == PAD, 0.5).requires_grad_()
    reward = torch.full((3,), beta, dtype=u.dtype, requires_grad=True)
    assert torch.autograd.gradcheck(lambda u, b: marginals(u, word_mask, region_mask, b, 0.8), (u, reward))
    _, value = best_path(u, word_mask, region_mask, reward)
    value.sum().backward()
    path, _ = best_path(u.detach(), word_mask, region_mask, beta)
    taken = torch.nn.functional.one_hot(path, 3).double() * word_mask[..., None]
    torch.testing.assert_close(u.grad, taken)  # the value of the best path is the sum of its products


def test_gradients_are_finite_where_nothing_favours_staying_and_all_products_are_equal():
    u, word_mask, region_mask = example(9)
    for products in (u, torch.zeros_like(u)):
        products = products.clone().requires_grad_()
        for beta in (0.0, 0.5):
            reward = relative_beta(products, word_mask, region_mask, beta)
            products.grad = None
            marginals(products, word_mask, region_mask, reward).square().sum().backward()
            assert products.grad.isfinite().all()


# padding, and beta in units of the spread


def test_what_stands_in_the_padding_changes_nothing():
    u, word_mask, region_mask = example(10, words=7, regions=5)
    padded = ~(word_mask[..., None] & region_mask[:, None])
    results = []
    for filling in (PAD, 0.0, -PAD, torch.inf, -torch.inf, torch.nan):
        filled = u.masked_fill(padded, filling).requires_grad_()
        probability = marginals(filled, word_mask, region_mask, 0.5)
        probability.square().sum().backward()
        reward = relative_beta(filled, word_mask, region_mask, 0.7)
        results.append((*best_path(filled.detach(), word_mask, region_mask, reward), probability, reward, filled.grad))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert torch.equal(one, two)


@settings(max_examples=30, deadline=None)
@given(sizes, st.integers(0, 3), st.integers(0, 3), betas)
def test_more_padding_changes_nothing(size, more_words, more_regions, beta):
    u, word_mask, region_mask = example(*size)
    pad = torch.nn.functional.pad
    wider = pad(u, (0, more_regions, 0, more_words), value=PAD)
    wider_masks = pad(word_mask, (0, more_words)), pad(region_mask, (0, more_regions))
    (path, value), (one, own) = best_path(wider, *wider_masks, beta), best_path(u, word_mask, region_mask, beta)
    words, regions = u.shape[1:]
    assert torch.equal(path[:, :words], one)
    assert not path[:, words:].any()
    torch.testing.assert_close(value, own)
    probability = marginals(wider, *wider_masks, beta)
    torch.testing.assert_close(probability[:, :words, :regions], marginals(u, word_mask, region_mask, beta))
    assert not probability[:, words:].any()
    assert not probability[..., regions:].any()
    torch.testing.assert_close(relative_beta(wider, *wider_masks, beta), relative_beta(u, word_mask, region_mask, beta))


def test_relative_beta_is_the_standard_deviation_of_the_real_products():
    u, word_mask, region_mask = example(11, words=6, regions=5)
    found = relative_beta(u, word_mask, region_mask, 0.4)
    for k in range(len(u)):
        real = [
            float(x) for t, row in enumerate(u[k]) for i, x in enumerate(row) if word_mask[k, t] and region_mask[k, i]
        ]
        mean = sum(real) / len(real)
        assert float(found[k]) == pytest.approx(0.4 * math.sqrt(sum((x - mean) ** 2 for x in real) / len(real)))


def test_with_a_relative_beta_the_size_of_scores_does_not_matter():
    u, word_mask, region_mask = example(12, sentences=20, words=8, regions=5)
    paths = []
    for factor, shift in ((1, 0), (1000, 0), (0.001, 0), (3, 50)):
        scaled = factor * u + shift
        paths.append(best_path(scaled, word_mask, region_mask, relative_beta(scaled, word_mask, region_mask, 0.8))[0])
    assert all(torch.equal(paths[0], path) for path in paths[1:])
    constant = torch.full_like(u, 7.0)
    assert not relative_beta(constant, word_mask, region_mask, 0.8).any()


# bad input


@pytest.mark.parametrize("decode", [best_path, marginals])
def test_bad_input_is_named(decode):
    u, word_mask, region_mask = example(13, sentences=3)
    word_mask[:, :2] = True
    with pytest.raises(ValueError, match=r"masks must fit products of shape \(3, 4, 3\), got \(3, 3\) and \(3, 3\)"):
        decode(u, word_mask[:, :3], region_mask, 1.0)
    with pytest.raises(ValueError, match="masks must fit"):
        decode(u, word_mask, region_mask[:2], 1.0)
    no = torch.tensor([[True], [False], [True]])
    with pytest.raises(ValueError, match="sentence 1 has no word: leave it out"):
        decode(u, word_mask & no, region_mask, 1.0)
    with pytest.raises(ValueError, match="sentence 1 has no region: leave it out"):
        decode(u, word_mask, region_mask & no, 1.0)
    holes = word_mask.clone()
    holes[2, 0] = False
    with pytest.raises(ValueError, match="words must be padded on the right"):
        decode(u, holes, region_mask, 1.0)
    for beta in (-0.1, -torch.inf, torch.inf, torch.nan):
        with pytest.raises(ValueError, match=rf"beta must be at least 0 .* and finite, got {beta}"):
            decode(u, word_mask, region_mask, beta)
        with pytest.raises(ValueError, match=rf"beta must be at least 0 and finite, got {beta}"):
            relative_beta(u, word_mask, region_mask, beta)
    with pytest.raises(ValueError, match=r"beta must be one number or one for each of 3 sentences, got \(2,\)"):
        decode(u, word_mask, region_mask, torch.ones(2, dtype=u.dtype))
    region_mask[1, 2] = True
    for broken in (torch.nan, torch.inf, -torch.inf):
        u[1, 1, 2] = broken
        with pytest.raises(ValueError, match=f"product of word 1 with region 2 in sentence 1 is {broken}: check"):
            decode(u, word_mask, region_mask, 1.0)


@pytest.mark.parametrize("temperature", [0.0, -1.0, torch.nan, torch.inf])
def test_bad_temperatures_are_named(temperature):
    with pytest.raises(ValueError, match="temperature must be above 0 and finite, got"):
        marginals(*example(14), 1.0, temperature)


def test_a_temperature_too_small_for_the_numbers_is_named():
    u, word_mask, region_mask = example(15, dtype=torch.float32)
    with pytest.raises(ValueError, match="temperature 1e-44 is too small"):
        marginals(u, word_mask, region_mask, 1.0, 1e-44)


def test_segments_are_the_longest_runs_of_one_region():
    path = torch.tensor([[2, 2, 0, 2, 9], [1, 1, 1, 1, 1], [3, 0, 0, 0, 0]])
    word_mask = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]], dtype=torch.bool)
    sentences, regions, counts = segments(path, word_mask)
    assert sentences.tolist() == [0, 0, 0, 1, 2]  # equal regions of two sentences stay apart
    assert regions.tolist() == [2, 0, 2, 1, 3]
    assert counts.tolist() == [2, 1, 1, 5, 1]
