"""The BRNN forwards and backwards: 100 sentences, words of 300, hidden 1024, h 1024.

Baselines: a loop over sentences and words, with autograd (bar: at least 10 times as fast; on a slice of the
sentences); `torch.nn.RNN` of the same size, bidirectional, over packed sentences, with a linear layer behind the sum
of both directions (bar: at most 1.3 times its time).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.data import lengths, mask_of
from benchmarks.harness import Candidate, Row, Settings, agree, compare, grow, memory_of
from benchmarks.training import name
from vsa_lite.words.brnn import BRNN

SENTENCES, SLICE, SIZES = 100, 20, (300, 1024, 1024)


def word_by_word(brnn: BRNN, x: Tensor) -> Tensor:
    """s of one sentence [words, x], one word at a time."""
    e = [torch.relu(brnn.input(word)) for word in x]
    none = e[0].new_zeros(brnn.forward_recurrent.in_features)
    forwards, backwards = [], []
    for word in e:
        forwards.append(torch.relu(word + brnn.forward_recurrent(forwards[-1] if forwards else none)))
    for word in reversed(e):
        backwards.append(torch.relu(word + brnn.backward_recurrent(backwards[-1] if backwards else none)))
    s = [brnn.output(f + b) for f, b in zip(forwards, reversed(backwards), strict=True)]
    s = torch.stack(s)
    return torch.relu(s) if brnn.output_relu else s


class Recipe(nn.Module):
    """What one would write with PyTorch's own layer."""

    def __init__(self, word_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(word_size, hidden_size, nonlinearity="relu", batch_first=True, bidirectional=True)
        self.output = nn.Linear(hidden_size, output_size)
        for key, weight in self.rnn.named_parameters():
            if key.startswith("weight_hh"):  # at PyTorch's own start a ReLU's states explode
                nn.init.orthogonal_(weight, 0.5)

    def forward(self, x: Tensor, length: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, length, batch_first=True, enforce_sorted=False)
        states, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return torch.relu(self.output(sum(states.chunk(2, dim=2))))


def backward(module: nn.Module, forward: Callable[[], Tensor], device: str, precision: torch.dtype) -> Callable:
    """Forwards, and backwards from the sum of all numbers."""

    def run() -> Tensor:
        module.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=precision == torch.bfloat16):
            out = forward()
        out.sum().backward()
        return out.detach()

    return run


def problem(sentences: int, sizes: tuple[int, int, int], device: str, generator: torch.Generator) -> tuple:
    """A BRNN, word vectors, their mask, and the lengths (on the CPU, where packing wants them)."""
    brnn = BRNN(*sizes, generator=generator).to(device)
    length = lengths(sentences, generator)
    mask = mask_of(length)
    x = torch.randn(*mask.shape, sizes[0], generator=generator) * mask[..., None]
    return brnn, x.to(device), mask.to(device), length


def measure(settings: Settings) -> Iterator[Row]:
    if settings.compiled:
        return
    device = settings.device
    sentences, few, sizes = (6, 3, (8, 16, 16)) if settings.quick else (SENTENCES, SLICE, SIZES)
    brnn, x, mask, length = problem(sentences, sizes, device, settings.generator)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        recipe = Recipe(*sizes).to(device)
    agree(brnn(x[:few], mask[:few])[mask[:few]], torch.cat([word_by_word(brnn, x[k, : length[k]]) for k in range(few)]))
    for precision in settings.precisions():
        run = partial(backward, device=device, precision=precision)
        ours = run(brnn, partial(brnn, x, mask))
        others = {"torch.nn.RNN": Candidate(run(recipe, partial(recipe, x, length)), most=1.3, note="packed sentences")}
        if precision == torch.float32:
            loop = run(brnn, lambda: torch.cat([word_by_word(brnn, x[k, : length[k]]) for k in range(few)]))
            factor = int(length.sum()) / int(length[:few].sum())
            others["word by word"] = Candidate(loop, factor, least=10)
        row = Row(
            "BRNN, forward and backward",
            f"{sentences} sentences",
            name(precision),
            compare(settings, ours, others),
            others,
        )
        row.memory = memory_of(ours, device)
        row.rates = {"words_per_second": int(mask.sum()) / min(row.times["ours"])}
        if precision == torch.float32:

            def make(n: int, run=run):
                brnn, x, mask, _ = problem(n, sizes, device, settings.generator)
                return run(brnn, partial(brnn, x, mask))

            row.scaling = grow(settings, make, (25, 50, 100, 200), "sentences")
        yield row
