"""A training step of the alignment: batch 100, R 20, features of 4,096, h 1024, eq. 8 and 9, SGD with momentum.

Baselines: the sum of its matrix products and of its recurrence alone, forwards and backwards, in place, without
autograd, masks, maximum, loss or optimiser (bar: at most 1.5 times its time); the literal way, image by image, word
by word, pair by pair, with autograd (bar: at least 20 times as fast; on a slice of the batch: the cost of pictures and
sentences is multiplied by their number, that of pairs by the number of pairs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.brnn import word_by_word
from benchmarks.data import batch_of
from benchmarks.harness import Candidate, Row, Settings, agree, compare, grow, memory_of, once
from benchmarks.training import name, stepper
from vsa_lite.alignment.model import AlignmentConfig, AlignmentModel
from vsa_lite.data.batches import Batch

PAIRS, R, VOCABULARY = 100, 20, 2538
SIZES = {"feature_size": 4096, "embedding_size": 1024, "hidden_size": 1024, "word_size": 300}
SMALL = {"feature_size": 64, "embedding_size": 32, "hidden_size": 32, "word_size": 16}


def model_of(sizes: dict, device: str) -> AlignmentModel:
    """A fresh model, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AlignmentModel(AlignmentConfig(vocabulary_size=VOCABULARY, **sizes)).to(device)


def pair_by_pair(model: AlignmentModel, batch: Batch) -> Tensor:
    """The loss as a program would have it that follows the equations one index at a time."""
    images = [model.regions(image) for image in batch.regions]  # (regions, h) each
    sentences = [
        word_by_word(model.brnn, model.word_vectors(tokens[mask]))
        for tokens, mask in zip(batch.tokens, batch.word_mask, strict=True)
    ]
    scores = [[(s @ v.T).max(1).values.sum() for s in sentences] for v in images]
    total, margin = batch.regions.new_zeros(()), model.config.margin
    for k in range(len(batch)):
        row = torch.stack(scores[k])
        column = torch.stack([scores[other][k] for other in range(len(batch))])
        true = scores[k][k]
        total = total + (row - true + margin).clamp(min=0).sum() + (column - true + margin).clamp(min=0).sum()
    return total / len(batch) - 2 * margin  # the true pair itself counts 2m in each sum


def products_alone(sizes: dict, batch: Batch, device: str, precision: torch.dtype) -> Callable[[], None]:
    """All matrix products of a step, forwards and backwards, and the recurrence with its ReLUs; nothing else."""
    d, h, hidden, x = (sizes[key] for key in ("feature_size", "embedding_size", "hidden_size", "word_size"))
    words, regions = int(batch.word_mask.sum()), batch.region_mask.numel()
    counts = [n for n in batch.word_mask.sum(0).tolist() if n]  # sentences still going at each step

    def made(*shape: int) -> Tensor:
        generator = torch.Generator(device).manual_seed(0)
        return (torch.randn(*shape, generator=generator, device=device) / shape[-1] ** 0.5).to(precision)

    features, W_m, v = made(regions, d), made(h, d), made(regions, h)
    vectors, W_e, e = made(words, x), made(hidden, x), made(words, hidden)
    W_d, s, W = made(h, hidden), made(words, h), made(hidden, hidden)
    products, states = made(words, regions), made(words, hidden)
    out = {key: torch.empty_like(value) for key, value in dict(
        v=v, W_m=W_m, e=e, W_e=W_e, s=s, W_d=W_d, states=states, products=products, W=W
    ).items()}  # fmt: skip
    pieces = states.split(counts)

    def recurrence() -> None:
        for t in range(1, len(counts)):  # forwards
            n = counts[t]
            torch.addmm(pieces[t], pieces[t - 1][:n], W.T, out=out["states"][:n]).relu_()
        for t in range(len(counts) - 1, 0, -1):  # backwards: to the step before
            n = counts[t]
            torch.mm(pieces[t], W, out=out["states"][:n]).mul_(pieces[t - 1][:n] > 0)
        # and to the weights, all steps at once, as autograd cannot
        later = words - counts[0]
        torch.mm(states[-later:].T, states[:later], out=out["W"])

    def run() -> None:
        torch.mm(features, W_m.T, out=out["v"])
        torch.mm(vectors, W_e.T, out=out["e"])
        recurrence()
        recurrence()
        torch.mm(states, W_d.T, out=out["s"])
        torch.mm(s, v.T, out=out["products"])
        torch.mm(products, v, out=out["s"])
        torch.mm(products.T, s, out=out["v"])
        torch.mm(s, W_d, out=out["states"])
        torch.mm(s.T, states, out=out["W_d"])
        torch.mm(e.T, vectors, out=out["W_e"])
        torch.mm(v.T, features, out=out["W_m"])

    return run


def loop_step(model: AlignmentModel, batch: Batch) -> Tensor:
    """Forwards and backwards."""
    model.zero_grad(set_to_none=True)
    loss = pair_by_pair(model, batch)
    loss.backward()
    return loss.detach()


def literal_step(model: AlignmentModel, batch: Batch, some: int) -> Candidate:
    """Pair by pair on the first pairs of a batch, and how often its time goes into that of the whole batch."""
    few = Batch(**{key: part[:some] for key, part in vars(batch).items()})

    def embedding_only() -> None:
        model.zero_grad(set_to_none=True)
        v = [model.regions(image).sum() for image in few.regions]
        s = [
            word_by_word(model.brnn, model.word_vectors(tokens[mask])).sum()
            for tokens, mask in zip(few.tokens, few.word_mask, strict=True)
        ]
        torch.stack(v + s).sum().backward()

    device = str(batch.regions.device.type)
    once(embedding_only, device)
    share = min(1.0, once(embedding_only, device) / once(partial(loop_step, model, few), device))
    times = len(batch) / some
    factor = share * times + (1 - share) * times**2
    return Candidate(partial(loop_step, model, few), factor, least=20, note=f"{share:.0%} of it is before the pairs")


def check(settings: Settings) -> None:
    """Loss and gradients of the model equal those of the literal way, on a few pairs."""
    model, batch = (
        model_of(SMALL, settings.device),
        batch_of(6, 5, 64, VOCABULARY, settings.generator).to(settings.device),
    )
    agree(model.loss(batch), loop_step(model, batch), 1e-4)
    literal = {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}
    model.zero_grad(set_to_none=True)
    model.loss(batch).backward()
    for key, gradient in literal.items():
        agree(dict(model.named_parameters())[key].grad, gradient, 1e-3)


def step_of(model: AlignmentModel, batch: Batch, device: str, precision: torch.dtype, loss: Callable) -> Callable:
    parameters = [p for p in model.parameters() if p.requires_grad]
    return stepper(model, partial(loss, batch), torch.optim.SGD(parameters, 1e-6, momentum=0.9), device, precision)


def measure(settings: Settings) -> Iterator[Row]:
    check(settings)
    device, sizes, pairs = settings.device, SMALL if settings.quick else SIZES, 8 if settings.quick else PAIRS
    batch = batch_of(pairs, R, sizes["feature_size"], VOCABULARY, settings.generator).to(device)
    for precision in settings.precisions():
        model = model_of(sizes, device)
        ours = step_of(model, batch, device, precision, model.loss)
        if settings.compiled:
            torch._dynamo.reset()
            compiled = step_of(model, batch, device, precision, torch.compile(model.loss))
            others = {"torch.compile": Candidate(compiled, note="the loss compiled; warm, compilation not counted")}
            row = _row(settings, pairs, precision, ours, others)
            row.name = "alignment training step, compiled"
            yield row
            continue
        others = {
            "its products and recurrence alone": Candidate(products_alone(sizes, batch, device, precision), most=1.5)
        }
        if precision == torch.float32:
            others["pair by pair"] = literal_step(model, batch, 4 if settings.quick else 40)
        row = _row(settings, pairs, precision, ours, others)
        row.memory = memory_of(ours, device)
        row.rates = {"pairs_per_second": pairs / min(row.times["ours"])}
        if precision == torch.float32:

            def make(n: int, precision=precision):
                model = model_of(sizes, device)
                batch = batch_of(n, R, sizes["feature_size"], VOCABULARY, settings.generator).to(device)
                return step_of(model, batch, device, precision, model.loss)

            row.scaling = grow(settings, make, (25, 50, 100, 200), "pairs")
        yield row


def _row(settings: Settings, pairs: int, precision: torch.dtype, ours: Callable, others: dict) -> Row:
    times = compare(settings, ours, others)
    return Row("alignment training step", f"batch {pairs}, R {R}", name(precision), times, others)
