"""A trained model as one file: weights, configuration, vocabulary, metrics. Loading it executes nothing.

The file is a safetensors file; everything that is not a tensor stands in its header as JSON. A model without its
vocabulary writes gibberish, so the two never part.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from vsa_lite.tensor_files import content_digest, write_tensors
from vsa_lite.words.vocabulary import Vocabulary


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged, or of something else."""


@dataclass
class Checkpoint:
    """A model and all that is needed to use it.

    Attributes:
        model: in eval mode.
        vocabulary: the one it was trained with.
        metrics: measured when it was saved.
        provenance: data set, backbone, training configuration, seed.
    """

    model: nn.Module
    vocabulary: Vocabulary
    metrics: dict = field(default_factory=dict)
    provenance: dict = field(default_factory=dict)


def _kinds() -> dict[str, type]:
    from vsa_lite.alignment.model import AlignmentModel
    from vsa_lite.captioning.attention import AttentionCaptioner
    from vsa_lite.captioning.rnn import MultimodalRNN

    return {kind.kind: kind for kind in (AlignmentModel, MultimodalRNN, AttentionCaptioner)}


def save_checkpoint(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; to a temporary file first, so that an older one is never half overwritten.

    Raises:
        ValueError: if the model was made for a vocabulary of another size.
        TypeError: for metrics or provenance that JSON cannot hold.
    """
    model, words = checkpoint.model, len(checkpoint.vocabulary)
    if model.config_dict()["vocabulary_size"] != words:
        raise ValueError(f"the model has {model.config_dict()['vocabulary_size']} words, its vocabulary {words}")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    header = {
        "format": "vsa-lite 1",
        "kind": model.kind,
        "config": json.dumps(model.config_dict()),
        "vocabulary": json.dumps(checkpoint.vocabulary.to_dict(), ensure_ascii=False),
        "metrics": json.dumps(checkpoint.metrics),
        "provenance": json.dumps(checkpoint.provenance),
    }
    write_tensors(path, tensors, header)


def load_checkpoint(path: str | Path, *kind: str) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: a file written by :func:`save_checkpoint`.
        kind: kinds of model that are wanted, of "alignment", "caption" and "attention"; none takes any.

    Raises:
        CheckpointError: if it is missing, no checkpoint (a pickle, for instance), damaged, or of another kind.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            header = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is no safetensors file: {error}; checkpoints of this package are (pickles are never opened)"
        ) from error
    if header.get("format") != "vsa-lite 1":
        raise CheckpointError(f"{path} is a safetensors file, but no checkpoint of this package")
    digest = header.pop("digest", "")
    if digest != content_digest(tensors, header):
        raise CheckpointError(f"{path} is damaged or was changed: its digest does not fit its content")
    kinds = _kinds()
    if header.get("kind") not in kinds:
        raise CheckpointError(f"{path} holds a {header.get('kind')!r}; known are {', '.join(kinds)}")
    if kind and header["kind"] not in kind:
        wanted = " or ".join(map(repr, kind))
        raise CheckpointError(f"{path} holds a model of the kind {header['kind']!r}, wanted {wanted}")
    try:
        with torch.random.fork_rng():  # the first weights are drawn at random, and then replaced
            model = kinds[header["kind"]].from_config(json.loads(header["config"]))
        model.load_state_dict(tensors)
        vocabulary = Vocabulary.from_dict(json.loads(header["vocabulary"]))
        metrics, provenance = json.loads(header["metrics"]), json.loads(header["provenance"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} cannot be made into a model: {' '.join(str(error).split())}; "
            "it was written by another version of this package"
        ) from error
    return Checkpoint(model.eval(), vocabulary, metrics, provenance)
