"""The self-checks of chapter 16: what is right passes in two ways, usual mistakes get their hint."""

import re

import pytest
import torch

from vsa_lite.checks import scale as checks


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


RIGHT = {
    "check_codeword_table": (table, table_by_einsum),
    "check_estimate": (estimate, estimate_by_gather),
    "check_recall": (recall, recall_by_sets),
}
WRONG = [
    ("check_codeword_table", lambda v, mask, u: (v @ u.T).amax(1), "padded regions took part"),
    ("check_codeword_table", lambda v, mask, u: (v * mask[..., None] @ u.T).amax(1), "0 beats a negative product"),
    ("check_codeword_table", lambda v, mask, u: (v @ u.T).sum(1), "you summed over regions"),
    ("check_codeword_table", lambda v, mask, u: table(v, mask, u).T, "turn it over"),
    ("check_codeword_table", lambda v, mask, u: v.mean(1) @ u.T, "wanted"),
    ("check_codeword_table", lambda v, mask, u: None, "it needs a `return`"),
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


@pytest.mark.parametrize(("name", "which"), [(name, which) for name in RIGHT for which in range(2)])
def test_what_is_right_passes(name, which, capsys):
    getattr(checks, name)(RIGHT[name][which])
    assert re.fullmatch(r".+: right, .+\n", capsys.readouterr().out)


@pytest.mark.parametrize(("name", "wrong", "hint"), WRONG)
def test_a_usual_mistake_gets_its_hint(name, wrong, hint):
    with pytest.raises(AssertionError, match=re.escape(hint)):
        getattr(checks, name)(wrong)


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_still_to_be_written_is_no_error(name, capsys):
    def unwritten(*_):
        raise NotImplementedError

    getattr(checks, name)(unwritten)
    assert "still to be written" in capsys.readouterr().out


def test_every_check_is_tried_here_with_at_least_five_mistakes():
    names = {name for name in vars(checks) if name.startswith("check_")}
    assert set(RIGHT) == names
    assert all(sum(name == other for other, *_ in WRONG) >= 5 for name in names)
