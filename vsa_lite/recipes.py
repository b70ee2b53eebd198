"""Named ways to train, for the command line and the experiments.

"printed" is the paper's eq. 8 with eq. 9, word for word; what the paper does not give (learning rate, dropout, number
of epochs) was chosen on the validation split. The others change one thing at a time, up to "best".
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Recipe:
    """How to make a model.

    Attributes:
        about: what it shows, in a line.
        model: settings of the model's configuration.
        training: settings of :class:`vsa_lite.training.TrainingConfig`.
        regions: use only the first so many regions; 1 is the whole picture alone.
    """

    about: str
    model: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)
    regions: int | None = None


_PRINTED = {"embedding_size": 1024, "hidden_size": 512, "dropout": 0.3}
_UNIT = _PRINTED | {"unit_vectors": True, "normalisation": "mean", "train_words": True}
_SGD = {"optimiser": "sgd", "learning_rate": 1e-3, "momentum": 0.9, "epochs": 6}
_ADAM = {"optimiser": "adam", "learning_rate": 1e-3, "epochs": 6, "warmup": 0.05}

ALIGNMENT: dict[str, Recipe] = {
    "printed": Recipe("eq. 8 with eq. 9 as printed: sum over words, margin 1, SGD with momentum", _PRINTED, _SGD),
    "fragments": Recipe("eq. 7 with eq. 9: every region counts", _PRINTED | {"score": "sum"}, _SGD),
    "mean": Recipe("as printed, divided by the number of words; Adam", _PRINTED | {"normalisation": "mean"}, _ADAM),
    "unit": Recipe("unit vectors, words that learn, mean, eq. 9 with margin 0.2", _UNIT | {"margin": 0.2}, _ADAM),
    "hardest": Recipe("the same with the hardest negatives", _UNIT | {"margin": 0.2, "loss": "hardest"}, _ADAM),
    "best": Recipe("the same with the contrastive loss", _UNIT | {"loss": "contrastive"}, _ADAM),
    "whole": Recipe("the best recipe, whole picture only", _UNIT | {"loss": "contrastive"}, _ADAM, regions=1),
}

_RNN = {"hidden_size": 512, "dropout": 0.5}
_RMSPROP = {"optimiser": "rmsprop", "learning_rate": 5e-4, "epochs": 10, "batch_size": 100, "clip": 5.0}

CAPTIONS: dict[str, Recipe] = {
    "rnn": Recipe("the multimodal RNN as printed, on whole pictures; RMSprop", _RNN, _RMSPROP, regions=1),
    "lstm": Recipe("the same with an LSTM", _RNN | {"cell": "lstm"}, _RMSPROP, regions=1),
}

# scenes: small and quick, for two cores
SCENES_ALIGNMENT = Recipe(
    "unit vectors, mean over words, contrastive loss",
    {
        "embedding_size": 256,
        "hidden_size": 128,
        "word_size": 64,
        "unit_vectors": True,
        "normalisation": "mean",
        "train_words": True,
        "loss": "contrastive",
        "dropout": 0.2,
    },
    {"learning_rate": 2e-3, "epochs": 10, "warmup": 0.05},
)
SCENES_CAPTIONS = Recipe(
    "the multimodal RNN as printed", {"hidden_size": 256, "dropout": 0.3}, _RMSPROP | {"epochs": 10}
)
