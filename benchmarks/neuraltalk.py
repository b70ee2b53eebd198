"""karpathy/neuraltalk's own numpy code, run beside ours from a checkout that lies elsewhere; nothing of it is here.

It is written for Python 2. Its three modules that compute are translated when they are loaded: `xrange` and integer
division of Python 2, and `row_stack` of a generator, which numpy no longer takes. Beams are sorted as there, with
ties, which would compare arrays, left as they stand. What checks gradients is cut off.
"""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import numpy as np
import torch

from vsa_lite.captioning.rnn import END, MultimodalRNN
from vsa_lite.data.batches import Batch

MODULES = ("utils", "rnn_generator", "generic_batch_generator", "solver")
PARAMETERS = {
    "generator": "rnn",
    "rnn_feed_once": 1,
    "rnn_relu_encoders": 0,
    "drop_prob_encoder": 0.0,
    "drop_prob_decoder": 0.0,
}


def _load(folder: Path) -> dict[str, types.ModuleType]:
    package = types.ModuleType("imagernn")
    package.__path__ = []
    sys.modules["imagernn"] = package
    other = types.ModuleType("imagernn.lstm_generator")
    other.LSTMGenerator = None  # not measured
    sys.modules["imagernn.lstm_generator"] = other
    loaded = {}
    for name in MODULES:
        text = (folder / "imagernn" / f"{name}.py").read_text(encoding="utf-8").split("def gradCheck")[0]
        text = re.sub(r"\bxrange\b", "range", text)
        text = re.sub(r"np\.row_stack\(\s*(x\[.*?\] for x in batch)\s*\)", r"np.vstack([\1])", text)
        text = text.replace("np.row_stack", "np.vstack").replace(".iteritems()", ".items()")
        text = text.replace(".sort(reverse = True)", ".sort(key=lambda beam: beam[0], reverse=True)")
        text = re.sub(r"^(\s*)print (.*)$", r"\1pass", text, flags=re.MULTILINE)
        module = types.ModuleType(f"imagernn.{name}")
        sys.modules[module.__name__] = module
        exec(compile(text, f"{name}.py of neuraltalk", "exec"), module.__dict__)
        loaded[name] = module
    return loaded


class Neuraltalk:
    """Its generator, cost and solver with a model's weights; there START and END share row 0 of the word vectors.

    Args:
        folder: a checkout.
        model: whose weights are taken; feature mean 0 and deviation 1.
    """

    def __init__(self, folder: Path, model: MultimodalRNN) -> None:
        self.modules = _load(folder)
        w = {key: p.detach().cpu().numpy().astype(np.float64) for key, p in model.named_parameters()}
        words = w["embedding.weight"][:-1].copy()
        words[END] = w["embedding.weight"][model.start]
        self.model = {
            "We": w["image.weight"].T.copy(),
            "be": w["image.bias"][None].copy(),
            "Ws": words,
            "Wxh": w["input.weight"].T.copy(),
            "bxh": w["input.bias"][None].copy(),
            "Whh": w["recurrent.weight"].T.copy(),
            "bhh": np.zeros((1, model.hidden_size)),
            "Wd": w["output.weight"].T.copy(),
            "bd": w["output.bias"][None].copy(),
        }
        self.generator = self.modules["generic_batch_generator"].GenericBatchGenerator
        self.solver = self.modules["solver"].Solver()
        self.misc = {"wordtoix": {str(k): k for k in range(model.vocabulary_size)}}

    def _items(self, batch: Batch) -> list[dict]:
        features = batch.regions[:, 0].cpu().numpy().astype(np.float64)
        return [
            {"image": {"feat": row}, "sentence": {"tokens": [str(word) for word in tokens[mask].tolist()]}}
            for row, tokens, mask in zip(features, batch.tokens.cpu(), batch.word_mask.cpu(), strict=True)
        ]

    def _cost(self, items: list[dict], model: dict) -> dict:
        """What its driver does between forward and backward, which stands in a script that cannot be imported."""
        ys, cache = self.generator.forward(items, model, PARAMETERS, self.misc)
        total, count, gradients = 0.0, 0, []
        for y, item in zip(ys, items, strict=True):
            targets = [*(int(word) for word in item["sentence"]["tokens"]), END]
            p = np.exp(y - y.max(1, keepdims=True))
            p /= p.sum(1, keepdims=True)
            total -= np.log(p[range(len(targets)), targets]).sum()
            p[range(len(targets)), targets] -= 1
            gradients.append(p)
            count += len(targets)
        grads = self.generator.backward(gradients, cache)
        return {"cost": total / count, "grad": {key: g / len(items) for key, g in grads.items()}, "stats": {}}

    def loss(self, batch: Batch) -> torch.Tensor:
        """Mean cross entropy of a word."""
        return torch.tensor(self._cost(self._items(batch), self.model)["cost"])

    def step(self, batch: Batch) -> None:
        """One of training, with its solver; the rate is too small to matter."""
        options = {"solver": "rmsprop", "learning_rate": 1e-8, "grad_clip": 5, "decay_rate": 0.99, "smooth_eps": 1e-8}
        self.solver.step(self._items(batch), self.model, self._cost, update=list(self.model), **options)

    def beam(self, features: torch.Tensor, size: int) -> list[tuple[list[int], float]]:
        """The best sentence for each picture, and its log probability."""
        items = [{"image": {"feat": row}} for row in features.cpu().numpy().astype(np.float64)]
        found = []
        for beams in self.generator.predict(items, self.model, PARAMETERS, beam_size=size):
            total, words = beams[0]
            words = [int(word) for word in words]
            found.append((words[: words.index(END)] if END in words else words, float(total)))
        return found
