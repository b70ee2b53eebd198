"""The multimodal RNN against a literal loop, numeric gradients, masks, and what a language model must do at all."""

import json
import math
import os
from collections import Counter
from pathlib import Path

import pytest
import torch

from vsa_lite.captioning.decoding import greedy
from vsa_lite.captioning.rnn import MultimodalRNN, caption_loss
from vsa_lite.data.batches import Batch, pad_tokens

V, D, H, E = 11, 5, 6, 4


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def small(cell="rnn", seed=0, dtype=torch.float64, **options):
    return MultimodalRNN(V, D, H, E, cell=cell, generator=seeded(seed), **options).to(dtype).eval()


def example(generator, sentences=5, words=6, dtype=torch.float64):
    features = torch.randn(sentences, D, generator=generator, dtype=dtype)
    lengths = torch.randint(0, words + 1, (sentences,), generator=generator).tolist()
    tokens, mask = pad_tokens([torch.randint(1, V, (n,), generator=generator).tolist() for n in [*lengths[1:], words]])
    return features, tokens, mask


def literal_logits(model, features, sentence):
    """Section 6 of the paper, one picture and one step at a time."""
    W_w, W_hi, b_hi = model.embedding.weight, model.image.weight, model.image.bias
    W_hx, b_h, W_hh = model.input.weight, model.input.bias, model.recurrent.weight
    W_oh, b_o = model.output.weight, model.output.bias
    b_v = W_hi @ ((features - model.feature_mean) / model.feature_deviation) + b_hi
    h, logits = torch.zeros(H, dtype=features.dtype), []
    for t, word in enumerate([model.start, *sentence], start=1):
        h = torch.relu(W_hx @ W_w[word] + W_hh @ h + b_h + (b_v if t == 1 else 0))
        logits.append(W_oh @ h + b_o)
    return torch.stack(logits)


def torch_lstm_logits(model, features, sentence):
    """PyTorch's own LSTM, fed the picture, START and the words."""
    lstm = torch.nn.LSTM(E, H, batch_first=True).to(features.dtype)
    weights = (model.input.weight, model.recurrent.weight, model.input.bias, torch.zeros_like(model.input.bias))
    for target, source in zip(lstm.parameters(), weights, strict=True):
        target.data.copy_(source)
    image = model.image((features - model.feature_mean) / model.feature_deviation)
    x = torch.cat([image[None], model.embedding.weight[[model.start, *sentence]]])
    return model.output(lstm(x[None])[0][0, 1:])


@pytest.mark.parametrize(("cell", "reference"), [("rnn", literal_logits), ("lstm", torch_lstm_logits)])
def test_logits_equal_a_literal_loop_with_the_picture_at_the_first_step_only(cell, reference):
    model, (features, tokens, mask) = small(cell), example(seeded(1))
    model.standardise(torch.randn(D, generator=seeded(2)), torch.rand(D, generator=seeded(3)) + 0.5)
    logits = model(features, tokens, mask)
    assert logits.shape == (5, tokens.shape[1] + 1, V)
    for k, row in enumerate(tokens):
        n = int(mask[k].sum())
        torch.testing.assert_close(logits[k, : n + 1], reference(model, features[k], row[:n].tolist()))
        assert (logits[k, n + 1 :] == 0).all()


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_steps_equal_forward(cell):
    model, (features, tokens, mask) = small(cell), example(seeded(4))
    expected = model(features, tokens, mask).log_softmax(-1)
    state, words = model.initial_state(features), torch.full((5,), model.start)
    for t in range(tokens.shape[1] + 1):
        log_probabilities, state = model.step(state, words)
        torch.testing.assert_close(log_probabilities.exp().sum(1), torch.ones(5, dtype=torch.float64))
        going = mask.sum(1) >= t
        torch.testing.assert_close(log_probabilities[going], expected[going, t])
        words = tokens[:, min(t, tokens.shape[1] - 1)]


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_padding_changes_nothing(cell):
    model, (features, tokens, mask) = small(cell), example(seeded(5))
    wide = torch.nn.functional.pad(tokens.masked_fill(~mask, 7), (0, 3), value=3)
    wide_mask = torch.nn.functional.pad(mask, (0, 3))
    torch.testing.assert_close(model(features, wide, wide_mask)[:, :-3], model(features, tokens, mask))
    torch.testing.assert_close(model.mean_loss(features, wide, wide_mask), model.mean_loss(features, tokens, mask))


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_order_in_the_batch_changes_nothing(cell):
    model, (features, tokens, mask) = small(cell), example(seeded(6))
    order = torch.tensor([3, 0, 4, 1, 2])
    logits = model(features, tokens, mask)
    torch.testing.assert_close(model(features[order], tokens[order], mask[order]), logits[order])


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_loss_is_the_mean_cross_entropy_of_a_word_and_its_quick_form_equals_it(cell):
    model, (features, tokens, mask) = small(cell), example(seeded(7))
    log_probabilities = model(features, tokens, mask).log_softmax(-1)
    naive = [
        -log_probabilities[k, t, word]
        for k, row in enumerate(tokens)
        for t, word in enumerate([*row[mask[k]].tolist(), 0])
    ]
    expected = sum(naive) / len(naive)
    torch.testing.assert_close(caption_loss(model(features, tokens, mask), tokens, mask), expected)
    torch.testing.assert_close(model.mean_loss(features, tokens, mask), expected)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_gradients_are_right(cell):
    model, (features, tokens, mask) = small(cell), example(seeded(8), sentences=3, words=3)
    names, parameters = zip(*model.named_parameters(), strict=True)

    def loss(*values):
        logits = torch.func.functional_call(model, dict(zip(names, values, strict=True)), (features, tokens, mask))
        return caption_loss(logits, tokens, mask)

    assert torch.autograd.gradcheck(loss, parameters)
    slow = torch.autograd.grad(loss(*parameters), parameters)
    quick = torch.autograd.grad(model.mean_loss(features, tokens, mask), parameters)
    torch.testing.assert_close(quick, slow)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_first_loss_is_about_log_vocabulary(cell):
    words = 500
    model = MultimodalRNN(words, 32, 64, cell=cell, generator=seeded(9)).eval()
    tokens = torch.randint(1, words, (40, 10), generator=seeded(10))
    loss = model.mean_loss(torch.randn(40, 32, generator=seeded(11)), tokens, torch.ones_like(tokens, dtype=torch.bool))
    assert loss.item() == pytest.approx(math.log(words), abs=0.05)


def test_output_bias_makes_a_unigram_model():
    model = small()
    counts = torch.arange(V)
    model.set_output_bias(counts)
    with torch.no_grad():
        model.output.weight.zero_()
    frequency = counts.clamp(min=1).double() / counts.clamp(min=1).sum()
    log_probabilities, _ = model.step(model.initial_state(torch.zeros(1, D)), torch.tensor([model.start]))
    torch.testing.assert_close(log_probabilities[0].exp(), frequency, atol=1e-7, rtol=1e-6)


def test_output_bias_on_flickr8k_takes_perplexity_from_vocabulary_size_to_about_170():
    path = Path(os.environ.get("VSA_LITE_DATA", "absent")) / "flickr8k" / "dataset.json"
    if not path.exists():
        pytest.skip("Flickr8k is not here: set VSA_LITE_DATA")
    images = json.loads(path.read_text())["images"]
    sentences = {split: [s["tokens"] for i in images if i["split"] == split for s in i["sentences"]] for split in
                 ("train", "val")}  # fmt: skip
    frequent = [(w, n) for w, n in Counter(w for s in sentences["train"] for w in s).most_common() if n >= 5]
    index = {word: k for k, (word, _) in enumerate(frequent, start=1)}
    assert len(index) + 1 == 2538
    tokens, mask = pad_tokens([[index[w] for w in s if w in index] for s in sentences["val"][:1000]])
    model = MultimodalRNN(2538, 16, 64, generator=seeded(12)).eval()
    features = torch.randn(len(tokens), 16, generator=seeded(13))
    with torch.no_grad():
        before = model.mean_loss(features, tokens, mask).exp().item()
        model.set_output_bias([len(sentences["train"]), *(n for _, n in frequent)])
        after = model.mean_loss(features, tokens, mask).exp().item()
    assert before == pytest.approx(2538, rel=0.05)
    assert 150 < after < 190


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_a_handful_of_captions_is_learnt_by_heart_in_30_steps(cell):
    generator = seeded(14)
    sentences = [torch.randint(1, 30, (n,), generator=generator).tolist() for n in (3, 5, 7, 4, 6, 1)]
    tokens, mask = pad_tokens(sentences)
    features = torch.randn(len(sentences), 16, generator=generator)
    model = MultimodalRNN(30, 16, 64, dropout=0.0, cell=cell, generator=generator)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(30):
        optimiser.zero_grad()
        loss = model.mean_loss(features, tokens, mask)
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1
    assert greedy(model, features).tokens == sentences


def test_dropout_acts_while_training_only_and_keeps_the_mean():
    model = small(dropout=0.3)
    x = torch.ones(400, 500)
    assert model.drop(x) is x
    dropped = model.train().drop(x)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert dropped.mean().item() == pytest.approx(1, abs=0.01)
    features, tokens, mask = example(seeded(15))
    losses = {model.mean_loss(features, tokens, mask).item() for _ in range(3)}
    assert len(losses) == 3


def test_loss_of_a_batch_reads_the_first_region():
    model, (features, tokens, mask) = small(), example(seeded(16))
    regions = torch.stack([features, torch.full_like(features, torch.nan)], 1)
    rows = len(tokens)
    batch = Batch(
        torch.arange(rows), regions, torch.ones(rows, 2, dtype=torch.bool), torch.zeros(rows, 2, 4), tokens, mask
    )
    torch.testing.assert_close(model.loss(batch), model.mean_loss(features, tokens, mask))


def test_a_model_comes_back_whole_from_configuration_and_weights():
    model = small("lstm", dropout=0.25)
    model.standardise(torch.randn(D, generator=seeded(17)), torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0]))
    again = MultimodalRNN.from_config(json.loads(json.dumps(model.config_dict()))).double().eval()
    again.load_state_dict(model.state_dict())
    features, tokens, mask = example(seeded(18))
    assert torch.equal(again(features, tokens, mask), model(features, tokens, mask))
    assert again.config_dict() == model.config_dict()


def test_standardised_features_are_what_the_picture_is_read_from():
    model, (features, tokens, mask) = small(), example(seeded(19))
    expected = model(features, tokens, mask)
    mean, deviation = torch.randn(D, dtype=torch.float64), torch.tensor([0.5, 1, 2, 3, 4], dtype=torch.float64)
    model.standardise(mean, deviation)
    torch.testing.assert_close(model(features * deviation + mean, tokens, mask), expected, atol=1e-6, rtol=1e-6)
    model.standardise(mean, torch.zeros(D))
    assert model(features, tokens, mask).isfinite().all()


def test_word_vectors_are_taken_over_at_the_size_of_a_random_start():
    model = MultimodalRNN(6, 4, hidden_size=8, embedding_size=5, generator=torch.Generator().manual_seed(0))
    before = model.embedding.weight.detach().clone()
    matrix = 100 * torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    matrix[0] = 0  # END has no vector
    model.set_word_vectors(matrix)
    after = model.embedding.weight
    assert torch.equal(after[[0, 6]], before[[0, 6]])
    ratio = after[1:6] / matrix[1:]
    assert torch.allclose(ratio, ratio[0, 0].expand(5, 5))
    assert float(after[1:6].detach().pow(2).mean().sqrt()) == pytest.approx(3**-0.5)
    for bad in (matrix[:5], matrix[:, :4], matrix.log()):
        with pytest.raises(ValueError, match="word vectors must be 6 x 5 finite numbers"):
            model.set_word_vectors(bad)


def test_weights_come_from_the_generator():
    torch.manual_seed(0)
    first = small(seed=3).state_dict()
    torch.manual_seed(1)
    second = small(seed=3).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["output.weight"], small(seed=4).state_dict()["output.weight"])


def test_bad_input_is_named():
    model, (features, tokens, mask) = small(), example(seeded(20))
    for options, message in (
        ({"hidden_size": 0}, "hidden_size must be at least 1, got 0"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"cell": "gru"}, "cell must be 'rnn' or 'lstm', got 'gru'"),
    ):
        with pytest.raises(ValueError, match=message):
            MultimodalRNN(V, D, **options)
    with pytest.raises(ValueError, match=r"shape \(images, 5\), got \(5, 4\)"):
        model(features[:, :4], tokens, mask)
    broken = features.clone()
    broken[2, 0] = torch.nan
    with pytest.raises(ValueError, match="picture 2 of the batch hold NaN"):
        model(broken, tokens, mask)
    with pytest.raises(ValueError, match="one row for each sentence"):
        model(features[:4], tokens, mask)
    with pytest.raises(ValueError, match="at least one"):
        model(features[:0], tokens[:0], mask[:0])
    with pytest.raises(ValueError, match="padded on the right"):
        model(features, tokens, mask.flip(1))
    for wrong in (0, -1, V, 99):
        with pytest.raises(ValueError, match=f"from 1 to 10, got {wrong}"):
            model(features, torch.where(mask, wrong, 0), mask)
    with pytest.raises(ValueError, match="one step more"):
        caption_loss(torch.zeros(*tokens.shape, V), tokens, mask)
    with pytest.raises(ValueError, match="counts must be 11 numbers"):
        model.set_output_bias([1, 2])
    with pytest.raises(ValueError, match="mean of the features must be 5"):
        model.standardise(torch.zeros(4), torch.ones(5))
    with pytest.raises(ValueError, match="deviation of the features is not finite"):
        model.standardise(torch.zeros(5), torch.full((5,), torch.nan))
