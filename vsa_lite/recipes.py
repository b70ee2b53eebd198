"""Named ways to train, for the command line and the experiments.

"printed" is the paper's eq. 8 with eq. 9, word for word; what the paper does not give (learning rate, dropout, number
of passes) was chosen on the validation split. Those after eq. 7 change one thing at a time and train for two passes,
enough to compare them. "quick" is the winner for two cores, "best" a wider one for a GPU, "whole" that without regions.
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


_PRINTED = {"embedding_size": 512, "hidden_size": 512, "dropout": 0.3}
_UNIT = _PRINTED | {"unit_vectors": True, "normalisation": "mean", "train_words": True}
_SENTENCE = _UNIT | {"unit_sentences": True, "normalisation": "sum"}
_CONTRASTIVE = {"loss": "contrastive", "scale": 30.0}
_ADAM = {"optimiser": "adam", "learning_rate": 1e-3, "epochs": 5, "warmup": 0.05}
_SHORT = _ADAM | {"epochs": 2}
_LONG = _ADAM | {"epochs": 8}
_BEST = _SENTENCE | _CONTRASTIVE | {"embedding_size": 1024}


# scores as printed are large, and a higher rate kills every ReLU: the loss then stays on its plateau
_SGD = _ADAM | {"optimiser": "sgd", "momentum": 0.9, "learning_rate": 3e-6}

# the best twelve regions: eight more make training half as long again
ALIGNMENT: dict[str, Recipe] = {
    "printed": Recipe("eq. 8 with eq. 9 as printed; SGD with momentum, five passes", _PRINTED, _SGD, 12),
    "fragments": Recipe(
        "eq. 7 with eq. 9: every region counts; SGD with momentum, five passes", _PRINTED | {"score": "sum"}, _SGD, 12
    ),
    "unit": Recipe(
        "unit vectors, mean over words, words that learn, eq. 9 with margin 0.2", _UNIT | {"margin": 0.2}, _SHORT, 12
    ),
    "sentences": Recipe("sentences of unit length, eq. 9 with margin 0.2", _SENTENCE | {"margin": 0.2}, _SHORT, 12),
    "hardest": Recipe(
        "sentences of unit length, hardest negatives, at a smaller rate: it falls onto its plateau otherwise",
        _SENTENCE | {"margin": 0.2, "loss": "hardest"},
        _SHORT | {"learning_rate": 3e-4},
        12,
    ),
    "contrastive": Recipe("sentences of unit length, contrastive loss", _SENTENCE | _CONTRASTIVE, _SHORT, 12),
    "quick": Recipe(
        "sentences of unit length, contrastive loss, five passes: for two cores", _SENTENCE | _CONTRASTIVE, _ADAM, 12
    ),
    "best": Recipe("sentences of unit length, contrastive loss, h 1,024, eight passes: for a GPU", _BEST, _LONG, 12),
    "whole": Recipe("the best recipe on the whole picture alone", _BEST, _LONG, 1),
}

_RNN = {"hidden_size": 512, "dropout": 0.5}
_RMSPROP = {"optimiser": "rmsprop", "learning_rate": 5e-4, "epochs": 9, "batch_size": 100, "clip": 5.0}

CAPTIONS: dict[str, Recipe] = {
    "quick": Recipe("the multimodal RNN as printed, on whole pictures; nine passes with RMSprop", _RNN, _RMSPROP, 1),
    "rnn": Recipe(
        "the multimodal RNN as printed, on whole pictures; twelve passes with Adam",
        _RNN,
        {"optimiser": "adam", "learning_rate": 5e-4, "epochs": 12},
        1,
    ),
    "lstm": Recipe(
        "an LSTM of 768 in place of the RNN; ten passes with RMSprop",
        _RNN | {"hidden_size": 768, "cell": "lstm"},
        _RMSPROP | {"learning_rate": 1e-3, "epochs": 10, "batch_size": 200},
        1,
    ),
}

ATTENTION: dict[str, Recipe] = {
    "quick": Recipe(
        "an LSTM of 512 with attention over the best regions; eight passes with Adam",
        {"hidden_size": 512, "dropout": 0.5},
        {"optimiser": "adam", "learning_rate": 1e-3, "epochs": 8, "warmup": 0.05},
        12,
    )
}

# scenes: small and quick, for two cores
SCENES_ALIGNMENT = Recipe(
    "sentences of unit length, contrastive loss",
    {
        "embedding_size": 256,
        "hidden_size": 128,
        "word_size": 64,
        "unit_vectors": True,
        "unit_sentences": True,
        "train_words": True,
        "loss": "contrastive",
        "dropout": 0.2,
    },
    {"learning_rate": 2e-3, "epochs": 12, "warmup": 0.05},
)
SCENES_CAPTIONS = Recipe(
    "the multimodal RNN as printed",
    {"hidden_size": 256, "dropout": 0.3},
    _RMSPROP | {"epochs": 20, "learning_rate": 1e-3},
)
SCENES_ATTENTION = Recipe(
    "an LSTM with attention over the best regions",
    {"hidden_size": 192, "embedding_size": 128, "dropout": 0.3},
    {"optimiser": "adam", "learning_rate": 2e-3, "epochs": 6, "batch_size": 100, "warmup": 0.05, "clip": 5.0},
)
SCENES_REGION_CAPTIONS = Recipe(
    "the same on regions: there are more snippets than sentences",
    SCENES_CAPTIONS.model,
    SCENES_CAPTIONS.training | {"epochs": 6},
)
