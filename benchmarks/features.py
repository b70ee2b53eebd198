"""Region features from photographs: reading, squashing, pooling and storing, 12 regions a picture, MobileNetV2 at 320.

Baseline: the backbone's own rate, the same network and the same pooling on tensors that are ready (bar: at least 0.8 of
that rate). Photographs are Flickr8k's under VSA_LITE_DATA; without them JPEG files of the same size are made. Weights
are random, which costs the same.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.harness import Candidate, Row, Settings, agree, compare, grow, memory_of
from vsa_lite.data.records import Dataset, Record, Sentence
from vsa_lite.regions.backbones import Backbone, Transform
from vsa_lite.regions.features import extract_features

SIDE, COUNT, POOL, BATCH = 320, 12, 4, 8


def backbone_of(settings: Settings) -> Backbone:
    from torchvision.models import mobilenet_v2

    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = mobilenet_v2(weights=None)
        for part in module.modules():  # batch norms see data once, or features would be too small for a store
            if isinstance(part, torch.nn.BatchNorm2d):
                part.momentum = 1.0
        with torch.no_grad():
            module.train()(torch.randn(4, 3, 224, 224))
        return Backbone(module, Transform(SIDE), "mobilenet_v2, random weights").to(settings.device)


def photographs(count: int, folder: Path) -> tuple[list[Path], str]:
    """Files, and what they are."""
    root = os.environ.get("VSA_LITE_DATA")
    found = sorted((Path(root) / "flickr8k" / "images").glob("*.jpg"))[:count] if root else []
    if len(found) == count:
        return found, "Flickr8k"
    paths, generator = [], np.random.default_rng(0)
    for k in range(count):
        coarse = generator.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        paths.append(folder / f"{k}.jpg")
        Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC).save(paths[-1], quality=90)
    return paths, "made, 500 x 375"


def boxes_of(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The whole picture and boxes at random."""
    generator = torch.Generator().manual_seed(0)
    low = 0.5 * torch.rand(count, 2, generator=generator)
    boxes = torch.cat([low, low + 0.2 + 0.3 * torch.rand(count, 2, generator=generator)], 1)
    boxes[0] = torch.tensor([0.0, 0, 1, 1])
    return boxes, torch.ones(count, dtype=torch.bool)


def measure(settings: Settings) -> Iterator[Row]:
    if settings.compiled:
        return
    pictures = 16 if settings.quick else 48
    backbone = backbone_of(settings)
    boxes, real = boxes_of(COUNT)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths, kind = photographs(pictures, folder)

        def records(n: int) -> Dataset:
            said = (Sentence("a picture", ("a", "picture")),)
            return Dataset(kind, [Record(k, path.name, path, "train", said) for k, path in enumerate(paths[:n])])

        def extract(n: int):
            options = {"count": COUNT, "size": SIDE, "pool_size": POOL, "batch_size": BATCH, "restart": True}
            chosen = records(n)
            return lambda: extract_features(
                chosen, backbone, lambda record, image: (boxes, real), folder / "store", progress=False, **options
            )

        def look(path: Path) -> np.ndarray:
            return backbone.transform.pixels(Image.open(path), SIDE)

        some = np.stack([look(path) for path in paths[:BATCH]])
        x = backbone.transform.normalise(some, backbone.device).contiguous(memory_format=torch.channels_last)
        several = boxes[1:].expand(BATCH, -1, -1)

        @torch.inference_mode()
        def network() -> torch.Tensor:
            maps = backbone.trunk(x).contiguous()
            return torch.cat([backbone.head(maps)[:, None], backbone.pooled_vectors(maps, several, POOL)], 1)

        ours = extract(pictures)
        stored = ours()
        agree(np.asarray(stored.features[:BATCH], dtype=np.float32), network(), 2e-3)
        others = {
            "the network on ready tensors": Candidate(network, pictures / BATCH, least=0.8, note="one batch of 8")
        }
        times = compare(settings, ours, others)
        row = Row("region features", f"{pictures} photographs, {COUNT} regions", "float32", times, others)
        row.notes.append(f"photographs: {kind}")
        row.memory = memory_of(ours, settings.device)
        row.rates = {"pictures_per_second": pictures / min(times["ours"])}
        row.scaling = grow(settings, extract, [BATCH * k for k in (1, 2, 4)] + [pictures], "photographs")
        yield row
