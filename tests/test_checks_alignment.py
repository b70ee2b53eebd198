"""The self-checks of chapters 6 to 9: what is right passes, the usual mistakes get their own hint."""

import re

import pytest
import torch

from vsa_lite.alignment.chain import best_path, marginals
from vsa_lite.alignment.losses import contrastive_loss, hardest_negative_loss, structured_loss
from vsa_lite.alignment.scores import alignment_scores
from vsa_lite.checks import alignment as checks
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


RIGHT = {
    "check_fragment_score": lambda v, s: sum(max(0.0, float(a @ b)) for a in v for b in s),
    "check_score": lambda v, s: sum(max(float(a @ b) for a in v) for b in s),
    "check_scores": alignment_scores,
    "check_smooth": lambda S, lengths: S / (lengths + 10),
    "check_structured_loss": structured_loss,
    "check_hardest_negative_loss": hardest_negative_loss,
    "check_contrastive_loss": contrastive_loss,
    "check_image_ranks": lambda S, owners: rank_scores(S, owners)[1].tolist(),
    "check_sentence_ranks": lambda S, owners: rank_scores(S, owners)[0],
    "check_best_path": lambda u, beta: best_path(*chain(u), beta)[0][0].tolist(),
    "check_marginals": lambda u, beta: marginals(*chain(u), beta)[0],
    "check_segments": segments_in_words,
}

WRONG = [
    ("check_fragment_score", lambda v, s: (v @ s.T).sum(), "you forgot max(0, .)"),
    ("check_fragment_score", lambda v, s: (s @ v.T).amax(1).sum(), "that is eq. 8"),
    ("check_score", lambda v, s: (s @ v.T).sum(), "you summed over regions; eq. 8 takes the max"),
    ("check_score", lambda v, s: (s @ v.T).clamp(min=0).sum(), "that is eq. 7"),
    ("check_score", lambda v, s: (s @ v.T).amax(0).sum(), "you took the max over words"),
    ("check_score", lambda v, s: (s @ v.T).amax(1), "sum them"),
    ("check_score", lambda v, s: None, "it needs a `return`"),
    ("check_score", lambda v, s: "7", "wanted"),
    ("check_scores", unmasked, "you used no mask"),
    ("check_scores", padded_with_zeros, "0 beats every negative product"),
    ("check_scores", lambda *a: alignment_scores(*a).T, "index order is (image, sentence)"),
    ("check_smooth", lambda S, lengths: S / lengths, "that is `mean`"),
    ("check_structured_loss", lambda S, ids, m: hinges(S, m).sum(), "l = k is included"),
    ("check_structured_loss", masked, "you masked the diagonal only"),
    ("check_structured_loss", lambda S, ids, m: structured_loss(S, ids, 1.0), "you used margin 1"),
    ("check_structured_loss", lambda S, ids, m: structured_loss(-S, ids, m), "exchanged"),
    ("check_structured_loss", lambda S, ids, m: structured_loss(S, ids, m) / len(S), "not its mean"),
    ("check_hardest_negative_loss", structured_loss, "keep the hardest one"),
    ("check_contrastive_loss", lambda S, ids, a: 2 * contrastive_loss(S, ids, a), "halve"),
    (
        "check_contrastive_loss",
        lambda S, ids, a: contrastive_loss(S, torch.arange(len(S)), a),
        "set their scores to -inf",
    ),
    ("check_image_ranks", optimistic, "ties count for you"),
    ("check_image_ranks", lambda S, owners: rank_scores(S, owners)[1] - 1, "ranks begin with 1"),
    ("check_sentence_ranks", lambda S, owners: rank_scores(S, owners)[0] - 1, "ranks begin with 1"),
    ("check_sentence_ranks", all_ones, "wanted"),
    ("check_best_path", lambda u, beta: u.argmax(1), "beta is not in it"),
    ("check_best_path", lambda u, beta: best_path(*chain(-u), beta)[0][0], "you minimised"),
    ("check_best_path", lambda u, beta: best_path(*chain(u), beta)[0][0].flip(0), "back to front"),
    ("check_marginals", lambda u, beta: u.softmax(1), "beta is not in it"),
    ("check_segments", lambda words, path: segments_in_words(words, path)[:-1], "the last run is missing"),
    ("check_segments", by_region, "makes two segments"),
]


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes(name, capsys):
    getattr(checks, name)(RIGHT[name])
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


def test_every_check_is_tried_here():
    assert set(RIGHT) == {name for name in vars(checks) if name.startswith("check_")}


def test_deciding_word_by_word_is_noticed():
    def greedy(u, beta):
        path = [int(u[0].argmax())]
        for row in u[1:]:
            bonus = row.clone()
            bonus[path[-1]] += beta
            path.append(int(bonus.argmax()))
        return path

    with pytest.raises(AssertionError, match="you decided word by word"):
        checks.check_best_path(greedy)


def test_a_function_may_change_what_it_is_given():
    def careless(v, s):
        v *= 2
        return (s @ (v / 2).T).max(1).values.sum()

    checks.check_score(careless)
