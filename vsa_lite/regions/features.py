"""Region features of a whole data set, written into a store: resumable, in batches, pictures read ahead (chapter 5)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from tqdm.auto import tqdm

from vsa_lite.data.records import Dataset, Record
from vsa_lite.data.skipped import report_skipped
from vsa_lite.regions.backbones import Backbone, BackboneError
from vsa_lite.regions.boxes import WHOLE_PICTURE, check_boxes
from vsa_lite.regions.store import FeatureStore, StoreError, StoreWriter

# picks the regions of a picture: boxes [R, 4], the whole picture first, and the mask of real ones [R]
Regions = Callable[[Record, Image.Image], tuple[Tensor, Tensor]]
Method = Literal["align", "crop"]


def warp_crops(image: Image.Image, boxes: Tensor, size: int) -> np.ndarray:
    """Every box cut out and warped to a square, as R-CNN does: uint8 [regions, size, size, 3].

    A box without width or height is seen one pixel wide or high.
    """
    image = image.convert("RGB")
    sides = torch.tensor([image.width, image.height], dtype=torch.float64)
    low, high = (boxes.double().clamp(0, 1) * sides.repeat(2)).split(2, 1)  # (regions, 2) each
    empty = high - low < 1e-6
    low = torch.where(empty, torch.minimum(low, sides - 1), low)
    high = torch.where(empty, low + 1, high)
    crops = np.empty((len(boxes), size, size, 3), dtype=np.uint8)
    for crop, corners in zip(crops, torch.cat([low, high], 1).tolist(), strict=True):
        crop[:] = image.resize((size, size), Image.Resampling.BILINEAR, box=tuple(corners))
    return crops


def extract_features(
    dataset: Dataset,
    backbone: Backbone,
    regions: Regions,
    path: str | Path,
    *,
    count: int = 20,
    method: Method = "align",
    size: int = 448,
    pool_size: int = 7,
    batch_size: int = 4,
    mirror: bool = False,
    shard: tuple[int, int] = (1, 1),
    provenance: dict | None = None,
    restart: bool = False,
    progress: bool = True,
) -> FeatureStore | None:
    """Features of every region of every picture, in a store at `path`.

    Region 0 is the whole picture at the transform's size. The others are pooled from one map of the picture at `size`
    pixels ("align", RoIAlign; where both sizes are equal, one pass makes all), or cut out, warped and sent through the
    network one by one ("crop", as in R-CNN: about `count` times slower, sharper for small boxes). Run again after a
    kill, it goes on where it stopped; a picture that cannot be read is named, counted and left out.

    Args:
        dataset: records with pictures.
        backbone: the frozen network.
        regions: picks boxes [count, 4] and their mask [count] for a picture; the first box is the whole picture.
        path: folder of the store.
        count: R, regions a picture, the whole one included.
        size: side in pixels of the picture that regions are pooled from.
        pool_size: side of a pooled region, in cells.
        batch_size: pictures at a time; on a CPU few are quicker, since their maps stay in the cache.
        mirror: see every picture in a mirror, left and right exchanged: a second view to train on. The boxes are those
            of the mirrored picture.
        shard: (k, n): do only the k-th of n parts, while others do the rest, into the same folder, here or on other
            machines; the result is that of one run. The first part begins the store, the others wait for it.
        provenance: more about where the regions come from; another store content is refused by it.
        restart: throw away what is there.

    Returns:
        The finished store; None if other parts are not finished yet.

    Raises:
        ValueError: for a bad choice, or regions that are not as described above.
        BackboneError: for "align" with a network that has no map.
        StoreError: if the folder holds something else, a feature is not finite, or no picture at all could be read.
    """
    if count < 1 or batch_size < 1:
        raise ValueError(f"count and batch_size must be at least 1, got {count} and {batch_size}")
    if method not in ("align", "crop"):
        raise ValueError(f"method must be 'align' or 'crop', got {method!r}")
    if method == "align" and backbone.trunk is None:
        raise BackboneError(f"backbone {backbone.name} has no map to pool regions from: use method='crop'")
    if not len(dataset):
        raise ValueError(f"{dataset.name} holds no picture to extract from")
    part, parts = shard
    if not 1 <= part <= parts:
        raise ValueError(f"shard must be (k, n) with k from 1 to n, got {shard}")
    if restart and part > 1:
        raise ValueError(f"only the first part begins the store anew, not part {part}: leave restart out")
    about = {**backbone.provenance(), "dataset": dataset.name, "method": method, **(provenance or {})}
    if mirror:
        about |= {"mirrored": True}
    if method == "align":
        about |= {"size": size, "pool_size": pool_size}
    ids = [record.image_id for record in dataset]
    if part > 1:
        _wait_for(Path(path) / "store.json")
    writer = StoreWriter(path, ids, count, backbone.feature_size, about, restart)
    transform = backbone.transform
    one_look = method == "align" and size == transform.size  # the picture for the map is that of the whole as well

    def prepare(row: int):
        record = dataset[row]
        try:
            image = record.image()
            boxes, mask = regions(record, image)
        except Exception as error:  # one bad picture must not stop a run of thousands
            return row, None, f"{type(error).__name__}: {error}"
        _check_regions(record.name, boxes, mask, count)
        if mirror:
            image = ImageOps.mirror(image)
            turned = boxes[:, [2, 1, 0, 3]] * torch.tensor([-1.0, 1, -1, 1]) + torch.tensor([1.0, 0, 1, 0])
            boxes = torch.where(mask[:, None], turned, boxes)
        crops = boxes[1:][mask[1:]]
        pieces = transform.pixels(image, size) if method == "align" else warp_crops(image, crops, transform.size)
        whole = pieces if one_look else transform.pixels(image)
        return row, (whole, pieces, boxes, mask), ""

    def mine(row: int) -> bool:  # whole batches, so that they are those of one run
        return row // batch_size % parts == part - 1

    todo, total = list(filter(mine, writer.todo.tolist())), sum(map(mine, range(len(ids))))
    left_out = []
    with tqdm(total=total, initial=total - len(todo), desc="features", unit="picture", disable=not progress) as bar:
        for batch in _read_ahead(prepare, todo, batch_size):
            good = [(row, made) for row, made, _ in batch if made is not None]
            for row, _, why in (item for item in batch if item[1] is None):
                writer.fail(row, dataset[row].name, why)
                left_out.append(f"{dataset[row].name} ({why})")
            if good:
                rows = [row for row, _ in good]
                wholes, pieces, boxes, masks = zip(*(made for _, made in good), strict=True)
                box, mask = torch.stack(boxes), torch.stack(masks)
                features = torch.zeros(len(good), count, backbone.feature_size)
                if method == "align":
                    maps = backbone.maps(np.stack(pieces))
                    features[:, 1:] = backbone.pooled_vectors(maps, box[:, 1:], pool_size).cpu()
                    whole = backbone.head(maps) if one_look else backbone.vectors(np.stack(wholes))
                    features[:, 0] = whole.cpu()
                else:
                    features[:, 0] = backbone.vectors(np.stack(wholes)).cpu()
                    real = mask.clone()
                    real[:, 0] = False
                    crops = np.concatenate(pieces)
                    vectors = [backbone.vectors(crops[i : i + 64]).cpu() for i in range(0, len(crops), 64)]
                    if vectors:
                        features[real] = torch.cat(vectors)
                features[~mask] = 0
                writer.write(rows, features.numpy(), box.numpy(), mask.numpy())
                writer.mended.update(dataset[row].name for row in rows)
            bar.update(len(batch))
    store = writer.close()
    if total and len(left_out) == total:
        raise StoreError(f"no region of any of the {total} pictures could be had; the first: {left_out[0]}")
    report_skipped("pictures without features", left_out)
    return store


def _wait_for(manifest: Path) -> None:
    """Until the first part has begun the store."""
    if not manifest.exists():
        print(f"waiting for the first part to begin {manifest.parent}", flush=True)
    while not manifest.exists():
        time.sleep(0.2)


def _check_regions(name: str, boxes: Tensor, mask: Tensor, count: int) -> None:
    if boxes.shape != (count, 4) or mask.shape != (count,) or mask.dtype != torch.bool:
        raise ValueError(
            f"regions of {name}: wanted boxes ({count}, 4) and a bool mask ({count},), got {tuple(boxes.shape)} and "
            f"{mask.dtype} {tuple(mask.shape)}"
        )
    try:
        check_boxes(boxes)
    except ValueError as error:
        raise ValueError(f"regions of {name}: {error}") from None
    if not mask[0] or tuple(boxes[0].tolist()) != WHOLE_PICTURE:
        raise ValueError(f"regions of {name}: the first must be the whole picture, got {boxes[0].tolist()}")


def _read_ahead(prepare: Callable, rows: list[int], batch_size: int) -> Iterator[list]:
    """Batches of prepared pictures, one batch being read while the one before is worked on.

    A batch never reaches over a multiple of `batch_size`, so that a resumed run forms the same batches: in another
    company the last bits of a feature may differ.
    """
    batches = [list(group) for _, group in groupby(rows, lambda row: row // batch_size)]
    if not batches:
        return
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        waiting = [pool.submit(prepare, row) for row in batches[0]]
        for following in [*batches[1:], []]:
            current, waiting = waiting, [pool.submit(prepare, row) for row in following]
            yield [future.result() for future in current]
