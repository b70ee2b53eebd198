"""Attention: against a naive version word by word; masks, feedback, the cycle, hard attention and the teacher."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from vsa_lite.captioning.attention import AttentionCaptioner, Look, Seen
from vsa_lite.captioning.decoding import beam_search, greedy, sample
from vsa_lite.captioning.localiser import Localiser
from vsa_lite.captioning.rnn import END, _targets
from vsa_lite.captioning.teacher import TaughtBatch
from vsa_lite.data.batches import Batch

V, D, H, E = 9, 5, 6, 4
ALL = {"revisions": 2, "teacher_weight": 0.3, "cycle_weight": 0.5, "doubly_weight": 0.2}


def make(seed=0, **extras):
    model = AttentionCaptioner(V, D, H, E, 0.0, generator=torch.Generator().manual_seed(seed), **extras).double()
    model.standardise(torch.full((D,), 0.1), torch.full((D,), 1.3))
    if extras.get("revisions"):
        nn.init.constant_(model.gamma, 0.7)
    return model


def some(n=3, regions=4, words=5, seed=1):
    """Pairs whose first picture and first sentence are short."""
    generator = torch.Generator().manual_seed(seed)
    region_mask = torch.arange(regions) < torch.tensor([2, *[regions] * (n - 1)])[:, None]
    word_mask = torch.arange(words) < torch.tensor([2, *[words] * (n - 1)])[:, None]
    features = torch.randn(n, regions, D, generator=generator, dtype=torch.float64) * region_mask[..., None]
    tokens = torch.randint(1, V, (n, words), generator=generator) * word_mask
    boxes = torch.rand(n, regions, 4, generator=generator)
    beta = torch.rand(n, words, regions, generator=generator, dtype=torch.float64) * region_mask[:, None]
    plain = Batch(torch.arange(n), features, region_mask, boxes, tokens, word_mask)
    said = word_mask & (torch.arange(words) != 1)
    return TaughtBatch(**vars(plain), attention=beta / beta.sum(-1, keepdim=True), attention_mask=said)


def naive(model, features, tokens):
    """alpha and log p of every pass at every step of one sentence, region by region; features are real ones."""
    x = (features - model.feature_mean) / model.feature_deviation
    v = torch.relu(model.value(x))
    state = tuple(part[:1] for part in model._begin(features[:1]))
    found = []
    for word in [model.start, *tokens]:
        hidden, state = model._advance(model.input(model.embedding(torch.tensor([word]))), state)
        h = hidden[0]
        z0 = []
        for region in v:
            if model.extras["scoring"] == "additive":
                z0.append(model.energy(torch.tanh(model.query(h) + model.key(region)))[0])
            else:
                z0.append(model.query(h) @ model.key(region) / math.sqrt(H))
        z, passes = z0, []
        for number in range(1 + model.extras["revisions"]):
            if number:
                if model.extras["feedback"] == "words":
                    q = sum(p * model.embedding.weight[w] for w, p in enumerate(passes[-1][1].exp()))
                else:
                    q = model.as_words(h)
                z = [energy + model.gamma * region @ model.back(q) for energy, region in zip(z0, v, strict=True)]
            alpha = torch.stack(z).softmax(0)
            c = sum(a * region for a, region in zip(alpha, v, strict=True))
            if model.extras["gate"]:
                c = c * model.gate(h).sigmoid()
            y = model.output(torch.tanh(model.combine(torch.cat([h, c])))).log_softmax(0)
            passes.append((alpha, y, h, v))
        found.append(passes)
    return found


@pytest.mark.parametrize(
    "extras", [{}, {"scoring": "dot", "gate": False}, ALL, ALL | {"feedback": "state", "cell": "rnn"}]
)
def test_everything_equals_a_naive_version_and_padding_changes_nothing(extras):
    model, batch = make(**extras), some()
    logits = model(batch.regions, batch.tokens, batch.word_mask)
    alphas = [
        model.attention(batch.regions, batch.tokens, batch.word_mask, k) for k in range(1 + model.extras["revisions"])
    ]
    losses, taught, recon, uneven = [], [], [], []
    for k in range(len(batch)):
        length, real = int(batch.word_mask[k].sum()), int(batch.region_mask[k].sum())
        tokens = batch.tokens[k, :length].tolist()
        steps = naive(model, batch.regions[k, :real], tokens)
        looked = 0
        for t, passes in enumerate(steps):
            target = (*tokens, END)[t]
            torch.testing.assert_close(logits[k, t].log_softmax(0), passes[-1][1])
            losses.append(torch.stack([-y[target] for _, y, *_ in passes]).mean())
            if t < length:
                for revision, (alpha, *_) in enumerate(passes):
                    torch.testing.assert_close(alphas[revision][k, t, :real], alpha)
                    assert not alphas[revision][k, t, real:].any()
                alpha = passes[-1][0]
                looked = looked + alpha
                if batch.attention_mask[k, t]:
                    beta = batch.attention[k, t, :real]
                    taught.append((beta * (beta.clamp(min=1e-300) / alpha).log().nan_to_num()).sum())
            if extras.get("cycle_weight"):
                _, y, h, v = passes[-1]
                seen = (v @ model.back(model.embedding.weight[int(y.argmax())])).softmax(0)
                c = (seen @ v) * model.gate(h).sigmoid()
                again = model.output(torch.tanh(model.combine(torch.cat([h, c])))).log_softmax(0)
                recon.append(-again[target])
        uneven.append((length / real - looked).square().sum())
        assert not logits[k, length + 1 :].any()
        assert not alphas[-1][k, length:].any()
    expected = torch.stack(losses).mean()
    torch.testing.assert_close(model.loss(replace_plain(batch)), expected + others(extras, recon, uneven))
    if extras.get("teacher_weight"):
        more = others(extras, recon, uneven) + extras["teacher_weight"] * torch.stack(taught).mean()
        torch.testing.assert_close(model.loss(batch), expected + more)


def others(extras, recon, uneven):
    cycle, doubly = extras.get("cycle_weight", 0), extras.get("doubly_weight", 0)
    return (cycle * torch.stack(recon).mean() if cycle else 0) + (doubly * torch.stack(uneven).mean() if doubly else 0)


def replace_plain(batch):
    """The same batch without a teacher."""
    return Batch(**{name: getattr(batch, name) for name in Batch.__dataclass_fields__})


def test_a_teacher_is_heard_where_attention_has_underflowed():
    model = make(teacher_weight=1.0)
    energies = torch.tensor([[900.0, 0.0]], dtype=torch.float64, requires_grad=True)
    one = torch.ones(1, 1, dtype=torch.bool)
    lesson = SimpleNamespace(attention=torch.tensor([[[0.0, 1.0]]]).double(), attention_mask=one)
    first = torch.zeros(1, dtype=torch.int64)
    loss = model._taught(energies.log_softmax(1), lesson, first, first)
    loss.backward()
    assert loss.item() == pytest.approx(900)
    assert energies.grad.tolist() == [[1, -1]]


def test_further_layers_leave_the_first_weights_of_the_others():
    plain, more = make().state_dict(), make(**ALL).state_dict()
    assert all(torch.equal(plain[name], more[name]) for name in plain)
    assert len(more) > len(plain)


def test_a_cycle_that_holds_costs_the_same_and_moves_vectors_only():
    batch, gradients, losses = replace_plain(some()), [], []
    for extras in ({}, {"cycle_weight": 0.5}, {"cycle_weight": 0.5, "cycle_holds": True}):
        model = make(**extras)
        losses.append(model.loss(batch))
        losses[-1].backward()
        gradients.append({name: part.grad for name, part in model.named_parameters()})
    assert losses[2] == losses[1] != losses[0]
    without, moving, holding = gradients
    vectors = {"back.weight", "value.weight", "value.bias", "embedding.weight"}
    for name in holding:
        before = without.get(name, torch.zeros_like(holding[name]))
        assert torch.allclose(holding[name], before) == (name not in vectors), name
    assert not torch.allclose(moving["output.weight"], without["output.weight"])


def test_the_localiser_finds_words_by_their_vectors_alone():
    model, batch = make(cycle_weight=0.5), some()
    found = Localiser(model).attention(batch.regions, batch.tokens, batch.word_mask)
    for k in range(len(batch)):
        length, real = int(batch.word_mask[k].sum()), int(batch.region_mask[k].sum())
        v = torch.relu(model.value((batch.regions[k, :real] - model.feature_mean) / model.feature_deviation))
        for t in range(length):
            alpha = (v @ model.back(model.embedding.weight[batch.tokens[k, t]])).softmax(0)
            torch.testing.assert_close(found[k, t, :real], alpha)
        assert not found[k, length:].any()
        assert not found[k, :, real:].any()
    products = Localiser(model).products(batch)
    torch.testing.assert_close(products.exp()[found > 0], found[found > 0])
    assert products.isfinite().all()
    with pytest.raises(ValueError, match="cycle_weight above 0"):
        Localiser(make())


def test_more_padding_changes_nothing():
    model, batch = make(**ALL), some()
    wider = replace(
        batch,
        regions=nn.functional.pad(batch.regions, (0, 0, 0, 3)),
        region_mask=nn.functional.pad(batch.region_mask, (0, 3)),
        boxes=nn.functional.pad(batch.boxes, (0, 0, 0, 3)),
        tokens=nn.functional.pad(batch.tokens, (0, 2)),
        word_mask=nn.functional.pad(batch.word_mask, (0, 2)),
        attention=nn.functional.pad(batch.attention, (0, 3, 0, 2)),
        attention_mask=nn.functional.pad(batch.attention_mask, (0, 2)),
    )
    torch.testing.assert_close(model.loss(wider), model.loss(batch))


def test_step_by_step_is_the_whole_sentence():
    model, batch = make(**ALL), some()
    whole = model(batch.regions, batch.tokens, batch.word_mask).log_softmax(2)
    state, words = model.initial_state(batch.regions), torch.full((len(batch),), model.start)
    for t in range(batch.tokens.shape[1]):
        log_y, state = model.step(state, words)
        torch.testing.assert_close(log_y[1:], whole[1:, t])
        words = batch.tokens[:, t]


def test_without_gamma_a_revision_revises_nothing_and_gamma_learns():
    model, batch = make(revisions=1), some()
    nn.init.zeros_(model.gamma)
    first, second = (model.attention(batch.regions, batch.tokens, batch.word_mask, k) for k in (0, 1))
    assert torch.equal(first, second)
    model.loss(batch).backward()
    assert model.gamma.grad.abs() > 0


def test_revisions_use_the_words():
    """Another word table, with the same inputs otherwise, moves the revised attention and not the first one."""
    model, batch = make(revisions=1), some()
    hidden, values = torch.randn(2, H).double(), torch.rand(2, 4, H).double()
    seen = Seen(values, model.key(values), torch.ones(2, 4, dtype=torch.bool))
    before = model.looks(hidden, seen)
    with torch.no_grad():
        model.embedding.weight.mul_(-2)
    after = model.looks(hidden, seen)
    assert torch.equal(before[0].alpha, after[0].alpha)
    assert not torch.allclose(before[1].alpha, after[1].alpha)
    assert len(batch) == 3


@pytest.mark.parametrize("extras", [{}, {"revisions": 1, "cycle_weight": 1.0}, {"hard": True}])
def test_all_ways_of_decoding_take_it(extras):
    model, batch = make(**extras), some(4)
    one, beam = greedy(model, batch.regions), beam_search(model, batch.regions, 1)
    assert one.tokens == beam.tokens
    torch.testing.assert_close(one.log_probability, beam.log_probability)
    wide = beam_search(model, batch.regions, V, max_length=2)
    for k in range(4):  # with every word in the beam, two steps are searched completely
        best = max(
            ((a, b) for a in range(V) for b in range(V)),
            key=lambda pair, k=k: log_p(model, batch.regions[k : k + 1], pair),
        )
        assert [word for word in best if word != END] == wide.tokens[k] or best[0] == END
    drawn = sample(model, batch.regions, torch.Generator().manual_seed(0))
    assert len(drawn) == 4


@torch.no_grad()
def log_p(model, regions, pair):
    """Log probability of two words, or of END alone."""
    state, word, total = model.initial_state(regions), torch.tensor([model.start]), 0.0
    for chosen in pair:
        log_y, state = model.step(state, word)
        total += float(log_y[0, chosen])
        if chosen == END:
            return total if pair[-1] == END else -math.inf
        word = torch.tensor([chosen])
    return total


def test_the_expectation_of_reinforce_is_the_gradient_of_the_expected_reward():
    """By enumeration: sum over regions of alpha times the surrogate's gradient."""
    model = make(hard=True)
    hidden, values = torch.randn(1, H).double(), torch.rand(1, 3, H).double()
    seen, target = Seen(values, model.key(values), torch.ones(1, 3, dtype=torch.bool)), torch.tensor([4])
    model.baseline.fill_(0.37)  # any baseline: it leaves the expectation as it is
    model.eval()
    weight = model.query.weight

    def log_p_of(region):
        counts = nn.functional.one_hot(torch.tensor([region]), 3).double()
        return -nn.functional.cross_entropy(model._predict(hidden.detach(), values, counts), target), counts

    alpha = model._energies(hidden, seen).softmax(1)
    expected = sum(alpha[0, i] * log_p_of(i)[0].detach() for i in range(3))
    (exact,) = torch.autograd.grad(-expected, weight)
    total = torch.zeros_like(weight)
    for i in range(3):
        reward, counts = log_p_of(i)
        look = Look(model._energies(hidden, seen).log_softmax(1), counts, counts)
        (gradient,) = torch.autograd.grad(model._reinforce(look, reward.detach()[None]), weight)
        total += alpha[0, i].detach() * gradient
    torch.testing.assert_close(total, exact)


def test_hard_attention_looks_at_one_region_and_moves_its_baseline():
    model, batch = make(hard=True), some()
    model.train()
    torch.manual_seed(0)
    hidden, seen, *_ = model._positions(batch.regions, batch.tokens, batch.word_mask)
    (look,) = model.looks(hidden, seen)
    assert torch.equal(look.counts.sum(1), torch.ones(len(look.counts)).double())
    assert set(look.counts.unique().tolist()) == {0.0, 1.0}
    model.loss(batch).backward()
    assert model.baseline < 0
    assert model.query.weight.grad.abs().sum() > 0  # only the surrogate reaches it
    model.eval()
    before = model.baseline.clone()
    model.loss(batch)
    assert torch.equal(model.baseline, before)


def test_even_attention_has_no_unevenness_and_one_is_no_target():
    model, batch = make(doubly_weight=1.0), some()
    sentences, steps = torch.arange(3).repeat_interleave(6), torch.arange(6).repeat(3)
    real = batch.region_mask[sentences].double()
    even = real / real.sum(1, keepdim=True)
    assert float(model._unevenness(even, batch, sentences, steps)) == pytest.approx(0)
    peaked = nn.functional.one_hot(torch.zeros(18, dtype=torch.int64), 4).double()
    assert float(model._unevenness(peaked, batch, sentences, steps)) > 1


def test_loss_has_the_right_gradient():
    model, batch = make(**ALL), some(2, 3, 3)
    parameters = [model.query.weight, model.gamma, model.back.weight, model.value.weight]

    def loss(*_):
        return model.loss(batch)

    assert torch.autograd.gradcheck(loss, parameters, eps=1e-6, atol=1e-5)


@pytest.mark.parametrize(
    ("extras", "message"),
    [
        ({"scoring": "cosine"}, "scoring must be 'additive' or 'dot', got 'cosine'"),
        ({"feedback": "nothing"}, "feedback must be 'words' or 'state'"),
        ({"revisions": -1}, "revisions must be at least 0"),
        ({"teacher_weight": math.inf}, "teacher_weight must be at least 0 and finite"),
        ({"revisions": 1.5}, "revisions must be whole"),
        ({"hard": True, "revisions": 1}, "hard attention has nothing to revise"),
    ],
)
def test_a_bad_choice_is_named(extras, message):
    with pytest.raises(ValueError, match=message):
        make(**extras)


def test_bad_features_are_named():
    model = make()
    with pytest.raises(ValueError, match=r"features of shape \(images, regions, 5\), got \(2, 5\)"):
        model.initial_state(torch.zeros(2, D))
    features = torch.zeros(2, 3, D)
    features[1, 2, 0] = math.nan
    with pytest.raises(ValueError, match="picture 1 of the batch hold NaN"):
        model.initial_state(features)


def test_it_is_made_again_from_its_configuration():
    model = make(**ALL)
    again = AttentionCaptioner.from_config(model.config_dict())
    again.double().load_state_dict(model.state_dict())
    batch = some()
    torch.testing.assert_close(again.loss(batch), model.loss(batch))
    assert _targets(batch.tokens, batch.word_mask)[0, 2] == END
