"""Beam search, 7 beams, 1,000 images, at the paper's sizes on Flickr8k (V 2,538, H 512, d 4,096), at most 20 words.

Weights are random but opinionated, with an END that comes after some ten words. Baseline: neuraltalk's method in
numpy, picture by picture and beam by beam, with the same weights, on a slice; the same sentences must come out (bar: at
least 50 times as fast; with --neuraltalk its own code runs too).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from benchmarks.harness import Candidate, Row, Settings, agree, compare, grow, memory_of
from benchmarks.numpy_captioner import NumpyCaptioner
from benchmarks.training import name
from vsa_lite.captioning.decoding import Captions, beam_search
from vsa_lite.captioning.rnn import MultimodalRNN

BEAMS, LONGEST = 7, 20


def problem(images: int, settings: Settings) -> tuple[MultimodalRNN, Tensor]:
    """A model that tells pictures apart, and features."""
    generator = settings.generator
    V, d, H = (60, 16, 32) if settings.quick else (2538, 4096, 512)
    model = MultimodalRNN(V, d, H, generator=generator).eval()
    with torch.no_grad():
        model.output.weight.normal_(0, 8 * H**-0.5, generator=generator)
        model.image.weight.normal_(0, d**-0.5, generator=generator)
        model.output.bias[0] = 4.2
    return model.to(settings.device), torch.randn(images, d, generator=generator).to(settings.device)


def slow(literal: NumpyCaptioner, features: Tensor) -> list[tuple[list[int], float]]:
    """Picture by picture."""
    return [literal.beam(row, BEAMS, LONGEST) for row in features.cpu().numpy()]


def same(found: Captions, expected: list[tuple[list[int], float]]) -> None:
    """The same sentences, and their log probabilities."""
    for k, (words, total) in enumerate(expected):
        agree(found.log_probability[k], total, 1e-4)
        assert found.tokens[k] == words, f"picture {k}: {found.tokens[k]} is not {words}"


def measure(settings: Settings) -> Iterator[Row]:
    if settings.compiled:
        return
    images, some = (20, 5) if settings.quick else (1000, 10)
    model, features = problem(images, settings)
    found = beam_search(model, features, BEAMS, LONGEST)
    double, single = NumpyCaptioner(model), NumpyCaptioner(model, "float32")
    same(found, slow(double, features[:some]))
    for precision in settings.precisions():

        def ours(model=model, features=features, precision=precision):
            with torch.autocast(settings.device, torch.bfloat16, enabled=precision == torch.bfloat16):
                return beam_search(model, features, BEAMS, LONGEST)

        factor = images / some
        others = {
            "numpy, picture by picture": Candidate(
                partial(slow, double, features[:some]), factor, least=50, note="on the CPU"
            ),
            "numpy in single precision": Candidate(partial(slow, single, features[:some]), factor, note="on the CPU"),
        }
        if settings.neuraltalk is not None:
            from benchmarks.neuraltalk import Neuraltalk

            peer = Neuraltalk(settings.neuraltalk, model)
            same(found, peer.beam(features[:some], BEAMS))
            others["neuraltalk"] = Candidate(
                lambda peer=peer: peer.beam(features[:some], BEAMS), factor, least=50, note="its own code, on the CPU"
            )
        times = compare(settings, ours, others)
        row = Row("beam search, 7 beams", f"{images:,} images", name(precision), times, others)
        row.memory = memory_of(ours, settings.device)
        lengths = torch.tensor([float(len(words)) for words in found.tokens])
        row.rates = {"images_per_second": images / min(times["ours"]), "words_per_sentence": float(lengths.mean())}
        if precision == torch.float32:

            def make(n: int):
                model, features = problem(n, settings)
                return lambda: beam_search(model, features, BEAMS, LONGEST)

            row.scaling = grow(
                settings, make, (125, 250, 500, 1000) if settings.device == "cuda" else (50, 100, 200, 400), "images"
            )
        yield row
