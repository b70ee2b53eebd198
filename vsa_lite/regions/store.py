"""Region features on disk: one store for every backbone, memory-mapped, with boxes, masks and where it all came from.

A store is a folder: `features.npy` float16 [images, regions, d], `boxes.npy` float32 [images, regions, 4], `mask.npy`
bool [images, regions], `image_ids.npy` int64 [images], `done.npy` uint8 [images] and `store.json` (provenance). It is
written in place, image by image; `done` says which rows are finished (1), or could not be made (2: a picture that
cannot be read), so a run that was killed goes on where it stopped.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

TODO, DONE, FAILED = 0, 1, 2


class StoreError(ValueError):
    """A feature store that is missing, unfinished, damaged, or made from something else."""


def _kinds(shape: Sequence[int]) -> dict[str, tuple[type, tuple[int, ...]]]:
    """The type and shape of each array, from (images, regions, d)."""
    n, regions, d = shape
    return {
        "features": (np.float16, (n, regions, d)),
        "boxes": (np.float32, (n, regions, 4)),
        "mask": (np.bool_, (n, regions)),
        "done": (np.uint8, (n,)),
        "image_ids": (np.int64, (n,)),
    }


def _read_manifest(path: Path) -> dict:
    try:
        manifest = json.loads((path / "store.json").read_text(encoding="utf-8"))
        if len(manifest["shape"]) == 3:
            return manifest
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        pass
    raise StoreError(f"{path / 'store.json'} is damaged: extract the features again, with restart")


def _open_arrays(path: Path, shape: Sequence[int]) -> dict[str, np.ndarray]:
    """All arrays, mapped for reading, once their types, shapes and lengths are known to be right.

    Raises:
        StoreError: if one is missing, cut short or of another shape.
    """
    arrays = {}
    for name, (dtype, wanted) in _kinds(shape).items():
        try:
            arrays[name] = np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise StoreError(f"{path} is damaged: {name}: {error}; extract again, with restart") from error
        if arrays[name].shape != wanted or arrays[name].dtype != dtype:
            raise StoreError(
                f"{path} is damaged: {name} is {arrays[name].dtype} {arrays[name].shape}, not "
                f"{np.dtype(dtype)} {wanted}; extract again, with restart"
            )
    return arrays


class FeatureStore:
    """A finished store, open for reading. Arrays are memory-mapped: nothing is loaded before it is asked for.

    Attributes:
        features: [images, regions, d], float16.
        boxes: [images, regions, 4], float32, shares of the picture's sides; region 0 is the whole picture.
        mask: [images, regions], bool; a picture that could not be read has no region.
        image_ids: [images], int64.
        provenance: backbone, transform, kind of regions, data set, failures.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "store.json").exists():
            raise StoreError(f"no feature store at {self.path}: make one with `vsa-lite extract`")
        self.provenance = _read_manifest(self.path)
        arrays = _open_arrays(self.path, self.provenance["shape"])
        todo = int((arrays["done"] == TODO).sum())
        if todo:
            raise StoreError(
                f"{self.path} is unfinished, {todo} of {len(arrays['done'])} pictures to go: run the extraction again"
            )
        self.features, self.boxes, self.mask = arrays["features"], arrays["boxes"], arrays["mask"]
        self.image_ids = np.array(arrays["image_ids"])
        self._row = {int(image_id): row for row, image_id in enumerate(self.image_ids)}

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def feature_size(self) -> int:
        """d, the size of one region's feature."""
        return self.features.shape[2]

    def __contains__(self, image_id: int) -> bool:
        """Whether the picture is here and could be read."""
        return int(image_id) in self._row and bool(self.mask[self._row[int(image_id)], 0])

    def rows(self, image_ids: Sequence[int]) -> np.ndarray:
        """Where pictures stand in the arrays.

        Raises:
            StoreError: for a picture that the store lacks or that could not be read.
        """
        try:
            rows = np.array([self._row[int(i)] for i in image_ids], dtype=np.int64)
        except KeyError as error:
            raise StoreError(f"{self.path} has no image id {error}: it was made from another data set") from None
        if len(rows) and not self.mask[rows, 0].all():
            bad = int(self.image_ids[rows[~self.mask[rows, 0]][0]])
            raise StoreError(f"{self.path}: the picture with image id {bad} could not be read; leave it out")
        return rows

    def read(
        self, image_ids: Sequence[int]
    ) -> tuple[Float[Tensor, "n regions d"], Bool[Tensor, "n regions"], Float[Tensor, "n regions 4"]]:
        """Features (float32), mask and boxes of some pictures, in their order."""
        return self.at(self.rows(image_ids))

    def at(
        self, rows: slice | np.ndarray, regions: int | None = None
    ) -> tuple[Float[Tensor, "n regions d"], Bool[Tensor, "n regions"], Float[Tensor, "n regions 4"]]:
        """Features (float32), mask and boxes of some rows of the arrays, of the first so many regions only.

        Features are widened by torch, which is quicker at it than numpy.
        """
        features, mask, boxes = (np.array(part[rows, :regions]) for part in (self.features, self.mask, self.boxes))
        return torch.from_numpy(features).float(), torch.from_numpy(mask), torch.from_numpy(boxes)


class StoreWriter:
    """Writes a store, resumably: rows already finished are kept if the store was begun with the same provenance.

    Args:
        path: folder of the store.
        image_ids: the pictures, in order.
        regions: R, regions a picture.
        feature_size: d.
        provenance: what the features are made from; a store begun with another one is refused.
        restart: throw away what is there.

    Raises:
        StoreError: if the folder holds a store of something else.
    """

    def __init__(
        self,
        path: str | Path,
        image_ids: Sequence[int],
        regions: int,
        feature_size: int,
        provenance: dict,
        restart: bool = False,
    ) -> None:
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        ids = np.asarray(image_ids, dtype=np.int64)
        n = len(ids)
        if len(np.unique(ids)) < n:
            twice = next(int(i) for i, times in zip(*np.unique(ids, return_counts=True), strict=True) if times > 1)
            raise StoreError(f"image id {twice} stands twice among the pictures for {self.path}")
        header = json.loads(json.dumps({**provenance, "shape": [n, regions, feature_size]}))
        manifest = self.path / "store.json"
        begun = manifest.exists() and not restart
        if begun:
            old = _read_manifest(self.path)
            old.pop("failures", None)
            if old != header:
                names = [key for key in {*old, *header} if old.get(key) != header.get(key)]
                raise StoreError(
                    f"{self.path} already holds features made from something else ({', '.join(sorted(names))} differ); "
                    "choose another folder, or restart"
                )
            # opened for reading first: opened for writing, a file cut short would be filled up with zeros
            if not np.array_equal(_open_arrays(self.path, header["shape"])["image_ids"], ids):
                raise StoreError(f"{self.path} was begun with other pictures; choose another folder, or restart")
        else:
            manifest.unlink(missing_ok=True)
            # the files grow as they are filled; a disk that runs full under a mapping kills the process without a word
            needed, free = 2 * n * regions * feature_size, shutil.disk_usage(self.path).free
            if needed > free:
                raise StoreError(
                    f"{self.path} needs {needed / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free there"
                )
            np.save(self.path / "image_ids.npy", ids)
        self.header, self._ids = header, ids
        self._arrays = {
            name: np.lib.format.open_memmap(
                self.path / f"{name}.npy", mode="r+" if begun else "w+", dtype=dtype, shape=shape
            )
            for name, (dtype, shape) in _kinds(header["shape"]).items()
            if name != "image_ids"
        }
        self.failures: dict[str, str] = {}
        self.mended: set[str] = set()  # names of pictures that were written: if they failed before, no longer
        if not begun:
            self._write_manifest({})

    def _write_manifest(self, failures: dict[str, str]) -> None:
        temporary = self.path / f"store.json.{os.getpid()}.part"
        temporary.write_text(json.dumps({**self.header, "failures": failures}, indent=1), encoding="utf-8")
        os.replace(temporary, self.path / "store.json")

    @property
    def todo(self) -> np.ndarray:
        """Rows that are not finished; those that failed before are tried again."""
        return np.flatnonzero(self._arrays["done"] != DONE)

    def write(self, rows: Sequence[int], features: np.ndarray, boxes: np.ndarray, mask: np.ndarray) -> None:
        """Write some finished rows; `done` is set only after their data is on disk.

        Raises:
            StoreError: if an array has the wrong shape, or a feature is not finite or too large for float16.
        """
        rows = np.asarray(rows, dtype=np.int64)
        features = np.asarray(features, dtype=np.float32)
        with np.errstate(over="ignore"):  # what overflows is named below
            made = {"features": features.astype(np.float16), "boxes": np.asarray(boxes), "mask": np.asarray(mask)}
        for name, array in made.items():
            wanted = (len(rows), *self._arrays[name].shape[1:])
            if array.shape != wanted:
                raise StoreError(f"{name} of {len(rows)} pictures have shape {array.shape}, wanted {wanted}")
        if not np.isfinite(made["features"]).all():
            bad = int(np.argwhere(~np.isfinite(made["features"]))[0][0])
            why = "too large for float16 (above 65,504)" if np.isfinite(features[bad]).all() else "not finite"
            raise StoreError(f"features of the picture with image id {self._ids[rows[bad]]} are {why}")
        for name, array in made.items():
            self._arrays[name][rows] = array
            self._arrays[name].flush()
        self._arrays["done"][rows] = DONE
        self._arrays["done"].flush()

    def fail(self, row: int, name: str, reason: str) -> None:
        """Note a picture that could not be read; its row stays masked."""
        self.failures[name] = reason
        self._arrays["done"][row] = FAILED
        self._arrays["done"].flush()

    def close(self) -> FeatureStore | None:
        """Note the failures, beside those of others who write into the same store, and open it for reading.

        Returns:
            The store; None while pictures are left to do.
        """
        before = _read_manifest(self.path).get("failures", {})
        kept = {name: why for name, why in before.items() if name not in self.mended}
        self._write_manifest({**kept, **self.failures})
        unfinished = (self._arrays["done"] == TODO).any()
        self._arrays.clear()
        return None if unfinished else FeatureStore(self.path)
