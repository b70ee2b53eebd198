"""Teachers of attention: the alignment's marginals, true boxes, nobody; and a model that learns from them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import make_dataset

from vsa_lite.alignment.chain import marginals
from vsa_lite.alignment.pairs import Pairs
from vsa_lite.captioning.localiser import Localiser
from vsa_lite.captioning.teacher import TaughtPairs, alignment_targets, shuffled, worth_grounding
from vsa_lite.checkpoints import load_checkpoint, save_checkpoint
from vsa_lite.data.records import Dataset, Phrase
from vsa_lite.evaluation.attention import attention_grounding, attention_mass, right_regions, true_targets
from vsa_lite.evaluation.grounding import evaluate_grounding
from vsa_lite.pipeline import evaluate_captions, perplexity, train_alignment, train_attention, write_captions
from vsa_lite.training import TrainingConfig
from vsa_lite.words.vocabulary import Vocabulary

ALIGN = {"embedding_size": 8, "hidden_size": 6, "word_size": 5, "unit_vectors": True, "loss": "contrastive"}
QUICK = TrainingConfig(epochs=3, batch_size=4, learning_rate=0.02, seed=1)
SMALL = {"hidden_size": 32, "dropout": 0.0}


@pytest.fixture
def dataset(tmp_path):
    """Four pictures to train on and to choose by; "the ball" stands in the upper left quarter, "grass" on the right."""
    train = list(make_dataset(tmp_path / "pictures").split("train").records)
    boxes = np.array([[0, 0, 0.5, 0.5], [0.55, 0.3, 1, 1]], dtype=np.float32)
    first, second = train[0].sentences  # a red ball on green grass; the ball is red
    sentences = (
        replace(first, phrases=(Phrase(0, 3, (0,)), Phrase(4, 6, (1,)))),
        replace(second, phrases=(Phrase(0, 2, (0,)),)),
    )
    train[0] = replace(train[0], boxes=boxes, labels=("ball", "grass"), sentences=sentences)
    return Dataset("four pictures", [*train, *(replace(r, image_id=r.image_id + 10, split="val") for r in train)])


@pytest.fixture
def vocabulary(dataset):
    return Vocabulary.from_dataset(dataset, minimum_count=1)


@pytest.fixture
def pairs(dataset, store, vocabulary):
    return Pairs(dataset.split("train"), store, vocabulary)


@pytest.fixture
def aligned(dataset, store, vocabulary):
    return train_alignment(dataset, store, vocabulary, None, ALIGN, QUICK, progress=False)


def test_frequent_words_are_not_worth_grounding(vocabulary):
    worth = worth_grounding(vocabulary, 0.3)
    names = {word for index, word in enumerate(vocabulary.words) if worth[index]}
    assert {"ball", "boat", "black"} <= names
    assert not {"a", "the"} & names
    assert not worth[Vocabulary.END]


def test_the_alignment_teaches_its_marginals_in_units_of_each_sentence(pairs, aligned):
    beta, mask = alignment_targets(aligned.model, pairs, 0.5, 0.25, batch_size=3)
    worth = worth_grounding(pairs.vocabulary)
    for k in range(len(pairs)):
        batch = pairs.batch([k])
        u = aligned.model.products(batch).detach()
        real = u[0][:, batch.region_mask[0]]
        spread = real.std(correction=0)
        expected = marginals(u / spread, batch.word_mask, batch.region_mask, 0.5, 0.25)[0]
        words = len(expected)
        torch.testing.assert_close(beta[k, :words], expected, atol=1e-5, rtol=1e-4)
        assert not beta[k, words:].any()
        assert mask[k, :words].tolist() == worth[batch.tokens[0]].tolist()
        assert not mask[k, words:].any()


def test_right_regions_are_those_that_overlap_by_half(pairs):
    right, mask = right_regions(pairs)
    # regions: whole, upper left quarter, right part, padding
    assert right[0].tolist()[:3] == [[False, True, False, False]] * 3
    assert not mask[0, 3]  # "on" names nothing
    assert right[0].tolist()[4:6] == [[False, False, True, False]] * 2
    assert mask[1].tolist()[:4] == [True, True, False, False]
    assert not mask[2:].any()
    beta, also = true_targets(pairs)
    assert torch.equal(mask, also)
    torch.testing.assert_close(beta.sum(-1), mask.float())


def test_batches_bring_the_teacher_of_their_own_pairs(pairs):
    generator = torch.Generator().manual_seed(0)
    longest = max(map(len, pairs.tokens))
    beta = torch.rand(len(pairs), longest, 4, generator=generator).softmax(-1)
    beta = beta * pairs.pictures(pairs.sentence_image.tolist())[1][:, None]
    beta = beta / beta.sum(-1, keepdim=True)
    real = torch.arange(longest) < torch.tensor([*map(len, pairs.tokens)])[:, None]
    mask = (torch.rand(len(pairs), longest, generator=generator) > 0.5) & real
    batch = TaughtPairs(pairs, beta, mask).batch([3, 1])
    words = batch.tokens.shape[1]
    assert torch.equal(batch.attention, beta[[3, 1], :words])
    assert torch.equal(batch.attention_mask, mask[[3, 1], :words])
    assert torch.equal(batch.tokens, pairs.batch([3, 1]).tokens)
    assert torch.equal(batch.to("cpu").attention, batch.attention)
    for odd, which, problem in (
        (beta[1:], mask[1:], "attention must be"),
        (beta[..., :1], mask, "attention must be"),
        (beta, mask.int(), "must be boolean"),
        (beta, ~real | mask, "behind the end"),
        (beta * 0, mask, f"{int(mask.sum())} of {int(mask.sum())} masked words"),
        (beta.log(), mask, "no distribution"),
        (beta / 0, mask, "no distribution"),
    ):
        with pytest.raises(ValueError, match=problem):
            TaughtPairs(pairs, odd, which)
    assert TaughtPairs(pairs, beta, mask).digest() != TaughtPairs(pairs, beta.flip(-1), mask).digest()


def test_a_teacher_that_looks_at_padding_is_named(pairs):
    short = int((~pairs.pictures(pairs.sentence_image.tolist())[1].all(1)).nonzero()[0])
    beta = torch.full((len(pairs), max(map(len, pairs.tokens)), 4), 0.25)
    mask = torch.zeros(beta.shape[:2], dtype=torch.bool)
    mask[short, 0] = True
    with pytest.raises(ValueError, match=f"pair {short} lies on padding"):
        TaughtPairs(pairs, beta, mask).batch([short])
    TaughtPairs(pairs, beta, mask & False).batch([short])  # where nothing is taught nothing is wrong


def test_a_shuffled_teacher_says_the_same_about_others(pairs):
    beta, mask = torch.rand(len(pairs), 3, 4), torch.rand(len(pairs), 3) > 0.4
    other = shuffled(beta, mask, torch.Generator().manual_seed(0))
    assert torch.equal(beta[~mask], other[~mask])
    assert not torch.equal(beta, other)
    said, again = (sorted(part[mask].tolist()) for part in (beta, other))
    assert said == again


def test_attention_learns_where_it_is_taught_to_look(dataset, store, vocabulary, pairs, tmp_path):
    training = TrainingConfig(epochs=60, batch_size=2, learning_rate=0.01, seed=0)
    plain, taught = (
        train_attention(
            *(dataset, store, vocabulary, SMALL | {"teacher_weight": weight}, training),
            targets=true_targets(pairs) if weight else None,
            progress=False,
        )
        for weight in (0.0, 1.0)
    )

    assert attention_mass(taught.model, pairs) > 75 > attention_mass(plain.model, pairs)
    assert evaluate_grounding(taught.model, pairs)["grounding_iou50"] == 100
    assert perplexity(taught.model, pairs) < 3
    assert taught.provenance["taught"]
    assert not plain.provenance["taught"]
    assert 0 <= evaluate_captions(taught.model, pairs, 2)["bleu_1"] <= 100
    save_checkpoint(tmp_path / "a.safetensors", taught)
    again = load_checkpoint(tmp_path / "a.safetensors", "attention")
    features = pairs.pictures(range(4))[0]
    written = write_captions(taught.model, vocabulary, features, 3)
    assert write_captions(again.model, vocabulary, features, 3) == written


def test_attention_mass_by_hand(pairs):
    class Looks(torch.nn.Linear):
        """Always as much at every real region."""

        def attention(self, regions, tokens, word_mask, revision):
            real = (regions != 0).any(-1).float()
            return (real / real.sum(1, keepdim=True))[:, None].expand(-1, tokens.shape[1], -1)

    assert attention_mass(Looks(1, 1), pairs, batch_size=3) == pytest.approx(100 / 3)


def test_everything_that_is_measured_of_where_a_model_looks(dataset, store, vocabulary, pairs):
    training = TrainingConfig(epochs=40, batch_size=2, learning_rate=0.01, seed=0)
    model = train_attention(
        *(dataset, store, vocabulary, SMALL | {"revisions": 1, "cycle_weight": 1.0, "cycle_holds": True}, training),
        progress=False,
    ).model
    found = attention_grounding(model, pairs)
    assert found["attention_mass"] == attention_mass(model, pairs)
    assert found["attention_mass_first"] == attention_mass(model, pairs, 0) != found["attention_mass"]
    assert found["gamma"] == model.gamma.item() != 0
    assert found["found_again_mass"] == attention_mass(Localiser(model), pairs) != found["attention_mass"]
    assert found["found_again_iou50"] == evaluate_grounding(Localiser(model), pairs)["grounding_iou50"]
    assert found["grounding_iou50"] == evaluate_grounding(model, pairs)["grounding_iou50"]


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_teacher_needs_a_weight_and_a_weight_needs_a_teacher(dataset, store, vocabulary, pairs, weight):
    targets = None if weight else true_targets(pairs)
    with pytest.raises(ValueError, match="a teacher needs targets and a teacher_weight"):
        train_attention(
            *(dataset, store, vocabulary, SMALL | {"teacher_weight": weight}, TrainingConfig(epochs=1)), targets=targets
        )
