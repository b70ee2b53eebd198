"""Checkpoints: what is saved comes back; what is damaged, foreign or would run code does not."""

import json
import os
import pickle

import pytest
import torch
from conftest import SENTENCES, seeded
from safetensors import safe_open
from safetensors.torch import save_file

from vsa_lite.alignment.model import AlignmentConfig, AlignmentModel
from vsa_lite.captioning.rnn import MultimodalRNN
from vsa_lite.checkpoints import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from vsa_lite.tensor_files import content_digest
from vsa_lite.words.vocabulary import Vocabulary

VOCABULARY = Vocabulary.from_sentences([raw.split() for pair in SENTENCES for raw in pair], minimum_count=2)
SIZES = {"vocabulary_size": len(VOCABULARY), "feature_size": 3}


def alignment():
    config = AlignmentConfig(**SIZES, embedding_size=4, hidden_size=3, word_size=2, unit_vectors=True, dropout=0.5)
    return seeded(lambda: AlignmentModel(config))


def captioner():
    return seeded(lambda: MultimodalRNN(**SIZES, hidden_size=4))


def saved(path, model=None, **more):
    given = {"metrics": {"r@1": 3.5, "history": [1, {"a": None}]}, "provenance": {"data": "é"}} | more
    save_checkpoint(path, Checkpoint(model or alignment(), VOCABULARY, **given))
    return path


def read(path):
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, dict(file.metadata())


def forged(path, tensors, header):
    """A file whose digest is right, whatever else it says."""
    header = {key: value for key, value in header.items() if key != "digest"}
    save_file(tensors, path, metadata=header | {"digest": content_digest(tensors, header)})
    return path


@pytest.mark.parametrize("make", [alignment, captioner])
def test_what_is_saved_comes_back(tmp_path, make):
    model = make().train()
    model.standardise(torch.tensor([1.0, 2, 3]), torch.tensor([4.0, 5, 6]))
    path = saved(tmp_path / "new folder" / "model.safetensors", model)
    again = load_checkpoint(path, model.kind)
    assert type(again.model) is type(model)
    assert not again.model.training
    assert again.model.config_dict() == model.config_dict()
    assert {name: tensor.dtype for name, tensor in again.model.state_dict().items()} == {
        name: tensor.dtype for name, tensor in model.state_dict().items()
    }
    assert all(torch.equal(again.model.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
    assert again.vocabulary.words == VOCABULARY.words
    assert again.vocabulary.to_dict() == VOCABULARY.to_dict()
    assert again.metrics == {"r@1": 3.5, "history": [1, {"a": None}]}
    assert again.provenance == {"data": "é"}
    assert [file.name for file in path.parent.iterdir()] == ["model.safetensors"]


def test_the_scores_are_the_same(tmp_path):
    from vsa_lite.data.batches import Batch

    model = alignment()
    generator = torch.Generator().manual_seed(0)
    mask = torch.ones(2, 5, dtype=torch.bool)
    tokens = torch.randint(1, len(VOCABULARY), (2, 5), generator=generator)
    boxes = torch.tensor([0.0, 0, 1, 1]).expand(2, 5, 4)
    batch = Batch(torch.arange(2), torch.randn(2, 5, 3, generator=generator), mask, boxes, tokens, mask)
    again = load_checkpoint(saved(tmp_path / "a", model)).model
    with torch.inference_mode():
        assert torch.equal(again(batch), model(batch))


def test_loading_leaves_random_numbers_alone(tmp_path):
    path = saved(tmp_path / "a")
    before = torch.get_rng_state()
    load_checkpoint(path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_failed_save_leaves_the_older_file(tmp_path):
    path = saved(tmp_path / "a")
    before = path.read_bytes()
    with pytest.raises(TypeError, match="JSON"):
        saved(path, metrics={"r@1": object()})
    assert path.read_bytes() == before
    assert load_checkpoint(path).metrics["r@1"] == 3.5


def test_a_model_of_another_vocabulary_is_not_saved(tmp_path):
    model = MultimodalRNN(len(VOCABULARY) + 1, 3, 4)
    with pytest.raises(
        ValueError, match=f"the model has {len(VOCABULARY) + 1} words, its vocabulary {len(VOCABULARY)}"
    ):
        saved(tmp_path / "a", model)
    assert not (tmp_path / "a").exists()


def test_a_missing_file_is_named(tmp_path):
    for path in (tmp_path / "nothing.safetensors", tmp_path):
        with pytest.raises(CheckpointError, match=f"no checkpoint at .*{path.name}"):
            load_checkpoint(path)


def test_another_kind_is_named(tmp_path):
    path = saved(tmp_path / "a", captioner())
    with pytest.raises(CheckpointError, match="holds a model of the kind 'caption', wanted 'alignment'"):
        load_checkpoint(path, "alignment")
    assert isinstance(load_checkpoint(path).model, MultimodalRNN)


class Attack:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_is_refused_and_nothing_in_it_is_run(tmp_path):
    attack = Attack(str(tmp_path / "executed"))
    torch.save(alignment().state_dict(), tmp_path / "weights.safetensors")
    torch.save({"state_dict": attack}, tmp_path / "attack.pt")
    (tmp_path / "raw.safetensors").write_bytes(pickle.dumps(attack))
    for name in ("weights.safetensors", "attack.pt", "raw.safetensors"):
        with pytest.raises(CheckpointError, match=r"is no safetensors file: .*pickles are never opened"):
            load_checkpoint(tmp_path / name)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.5, 0.9, 0.9999])
def test_a_truncated_file_is_refused(tmp_path, share):
    path = saved(tmp_path / "a")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match="is no safetensors file"):
        load_checkpoint(path)


def test_no_changed_byte_goes_unseen(tmp_path):
    path = saved(tmp_path / "a")
    whole = bytearray(path.read_bytes())
    expected, header = read(path)
    refused = unchanged = 0
    for position in [*range(0, len(whole), 3), len(whole) - 1]:
        for flip in (0x01, 0x20):
            changed = whole.copy()
            changed[position] ^= flip
            path.write_bytes(changed)
            try:
                load_checkpoint(path)
            except CheckpointError:
                refused += 1
            else:  # a byte that means nothing, such as a space between two parts of the header
                tensors, same = read(path)
                assert same == header
                assert tensors.keys() == expected.keys()
                assert all(torch.equal(tensor, expected[name]) for name, tensor in tensors.items())
                unchanged += 1
    assert refused > 500
    assert unchanged < 20


@pytest.mark.parametrize("part", ["kind", "config", "vocabulary", "metrics", "provenance"])
def test_a_changed_header_is_refused(tmp_path, part):
    tensors, header = read(saved(tmp_path / "a"))
    save_file(tensors, tmp_path / "a", metadata=header | {part: header[part] + " "})
    with pytest.raises(CheckpointError, match="is damaged or was changed: its digest does not fit"):
        load_checkpoint(tmp_path / "a")
    save_file(tensors, tmp_path / "a", metadata={key: value for key, value in header.items() if key != part})
    with pytest.raises(CheckpointError, match="is damaged or was changed"):
        load_checkpoint(tmp_path / "a")


def test_exchanged_weights_are_refused(tmp_path):
    tensors, header = read(saved(tmp_path / "a"))
    for change in (
        {"regions.bias": tensors["regions.bias"] + 1},
        {"regions.bias": tensors["regions.bias"].bfloat16()},
        {"extra": torch.zeros(1)},
    ):
        save_file(tensors | change, tmp_path / "a", metadata=header)
        with pytest.raises(CheckpointError, match="is damaged or was changed"):
            load_checkpoint(tmp_path / "a")


def test_other_safetensors_files_are_refused(tmp_path):
    save_file({"weight": torch.zeros(2)}, tmp_path / "a")
    with pytest.raises(CheckpointError, match="is a safetensors file, but no checkpoint of this package"):
        load_checkpoint(tmp_path / "a")


def test_a_file_that_is_whole_but_does_not_fit_is_refused(tmp_path):
    tensors, header = read(saved(tmp_path / "a"))
    with pytest.raises(CheckpointError, match="holds a 'detector'; known are alignment, caption"):
        load_checkpoint(forged(tmp_path / "b", tensors, header | {"kind": "detector"}))
    config = json.loads(header["config"])
    fewer = {name: tensor for name, tensor in tensors.items() if name != "regions.bias"}
    for other, changes in (
        (tensors, {"config": json.dumps(config | {"new": 1})}),
        (tensors, {"config": json.dumps(config | {"embedding_size": 5})}),
        (tensors, {"config": "{"}),
        (tensors, {"vocabulary": "{}"}),
        (fewer, {}),
    ):
        with pytest.raises(CheckpointError, match=r"cannot be made into a model: .*another version"):
            load_checkpoint(forged(tmp_path / "b", other, header | changes))
