"""Training the captioner: the paper's sizes on Flickr8k (V 2,538, H 512, d 4,096), batch 100, RMSprop, no dropout.

Baselines: neuraltalk's method in numpy, sentence by sentence, in double precision as there and in single (bar for the
first: at least 10 times as fast; with --neuraltalk its own code runs too); the plain recipe with `torch.nn.RNN` over
padded sentences (bar: not slower).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.data import batch_of
from benchmarks.harness import Candidate, Row, Settings, agree, compare, grow, memory_of
from benchmarks.numpy_captioner import NumpyCaptioner
from benchmarks.training import name, stepper
from vsa_lite.captioning.rnn import MultimodalRNN
from vsa_lite.data.batches import Batch

SIZES = {"vocabulary_size": 2538, "feature_size": 4096, "hidden_size": 512}
SMALL = {"vocabulary_size": 50, "feature_size": 16, "hidden_size": 8}


class Recipe(nn.Module):
    """What one would write with PyTorch's own layer: the picture is the first state, padded words are computed too."""

    def __init__(self, vocabulary_size: int, feature_size: int, hidden_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size + 1, hidden_size)
        self.image = nn.Linear(feature_size, hidden_size)
        self.rnn = nn.RNN(hidden_size, hidden_size, nonlinearity="relu", batch_first=True)
        self.output = nn.Linear(hidden_size, vocabulary_size)

    def loss(self, batch: Batch) -> Tensor:
        words = nn.functional.pad(batch.tokens, (1, 0), value=self.embedding.num_embeddings - 1)
        hidden, _ = self.rnn(self.embedding(words), self.image(batch.regions[:, 0])[None])
        targets = nn.functional.pad(batch.tokens, (0, 1)).masked_fill(
            ~nn.functional.pad(batch.word_mask, (1, 0), value=True), -1
        )
        return nn.functional.cross_entropy(self.output(hidden).flatten(0, 1), targets.flatten(), ignore_index=-1)


def model_of(sizes: dict, settings: Settings) -> MultimodalRNN:
    return MultimodalRNN(**sizes, dropout=0.0, generator=settings.generator).to(settings.device)


def check(model: MultimodalRNN, batch: Batch) -> None:
    """Loss and gradients equal those of numpy in double precision."""
    model.zero_grad(set_to_none=True)
    loss = model.loss(batch)
    loss.backward()
    literal = NumpyCaptioner(model)
    expected, gradients = literal.loss_and_gradients(batch)
    agree(loss, expected, 1e-4)
    for key, gradient in gradients.items():
        agree(model.get_parameter(key).grad, gradient, 1e-3)


def measure(settings: Settings) -> Iterator[Row]:
    device, sizes, pairs = settings.device, SMALL if settings.quick else SIZES, 10 if settings.quick else 100
    batch = batch_of(pairs, 1, sizes["feature_size"], sizes["vocabulary_size"], settings.generator)
    tokens = int(batch.word_mask.sum()) + pairs  # with END
    on_device = batch.to(device)
    if not settings.compiled:
        few = Batch(**{key: part[:5] for key, part in vars(on_device).items()})
        check(model_of(sizes, settings), few)
    for precision in settings.precisions():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model, recipe = model_of(sizes, settings), Recipe(**sizes).to(device)

        def step(module: nn.Module, loss, batch=on_device, precision=precision):
            optimiser = torch.optim.RMSprop(module.parameters(), 1e-5, alpha=0.99)
            return stepper(module, partial(loss, batch), optimiser, device, precision)

        ours = step(model, model.loss)
        if settings.compiled:
            torch._dynamo.reset()
            others = {
                "torch.compile": Candidate(step(model, torch.compile(model.loss)), note="warm, compilation not counted")
            }
            times = compare(settings, ours, others)
            yield Row("captioner training step, compiled", f"batch {pairs}", name(precision), times, others)
            continue
        others = {"plain nn.RNN recipe": Candidate(step(recipe, recipe.loss), most=1.0)}
        if precision == torch.float32:
            double, single = NumpyCaptioner(model), NumpyCaptioner(model, "float32")
            others["numpy, sentence by sentence"] = Candidate(partial(double.step, batch), least=10, note="on the CPU")
            others["numpy in single precision"] = Candidate(partial(single.step, batch), note="on the CPU")
            if settings.neuraltalk is not None:
                from benchmarks.neuraltalk import Neuraltalk

                peer = Neuraltalk(settings.neuraltalk, model)
                agree(peer.loss(batch), model.loss(on_device), 1e-4)
                others["neuraltalk"] = Candidate(partial(peer.step, batch), least=10, note="its own code, on the CPU")
        times = compare(settings, ours, others)
        row = Row("captioner training step", f"batch {pairs}", name(precision), times, others)
        row.memory = memory_of(ours, device)
        row.rates = {"tokens_per_second": tokens / min(times["ours"])}
        if precision == torch.float32:

            def make(n: int, step=step):
                some = batch_of(n, 1, sizes["feature_size"], sizes["vocabulary_size"], settings.generator)
                model = model_of(sizes, settings)
                return step(model, model.loss, some.to(device))

            row.scaling = grow(settings, make, (25, 50, 100, 200), "sentences")
        yield row
