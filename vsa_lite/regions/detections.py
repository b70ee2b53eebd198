"""Proposals by detectors: one of torchvision's, or detections made elsewhere and read from a file (chapter 5)."""

from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vsa_lite.regions.proposals import Proposals, worth_a_look


class DetectorProposals:
    """Boxes from one of torchvision's detectors.

    Args:
        name: of the detector, such as "fasterrcnn_mobilenet_v3_large_320_fpn" (`torchvision.models.list_models`).
        weights: "DEFAULT" or another name from the detector's weights enum (downloaded once), a local file
            (.safetensors, or a state dict in .pth), or None for random weights.
        score_threshold: detections below it are dropped.
        maximum_size: longest side in pixels that a larger picture is first reduced to.
        device: where the detector runs.
        options: further arguments of the detector's builder, such as `num_classes`.

    Raises:
        ValueError: for a name that torchvision has no detector of, or weights it does not know.
        FileNotFoundError: for a weights file that is not there.
        RuntimeError: where weights cannot be downloaded, or do not fit the detector.
    """

    def __init__(
        self,
        name: str = "fasterrcnn_mobilenet_v3_large_320_fpn",
        weights: str | Path | None = "DEFAULT",
        score_threshold: float = 0.05,
        maximum_size: int = 1333,
        device: torch.device | str = "cpu",
        **options,
    ) -> None:
        from torchvision.models import detection, get_model, get_model_weights, list_models

        names = list_models(module=detection)
        if name not in names:
            raise ValueError(f"torchvision has no detector {name!r}; it has {', '.join(names)}")
        known = get_model_weights(name)
        is_file = weights is not None and (isinstance(weights, Path) or Path(weights).suffix != "")
        if is_file and not Path(weights).exists():
            raise FileNotFoundError(f"no weights at {weights}")
        if weights is not None and not is_file and weights not in known.__members__:
            raise ValueError(
                f"weights of {name} must be a file or one of {', '.join(known.__members__)}; got {weights!r}"
            )
        enum = known[weights] if weights is not None and not is_file else None
        try:
            # without weights_backbone=None torchvision would download a backbone behind our back
            model = get_model(name, weights=enum, **({} if enum else {"weights_backbone": None}), **options)
        except (URLError, OSError) as error:
            raise RuntimeError(
                f"the weights {enum} could not be downloaded: {error}; give a local file as weights"
            ) from error
        if is_file:
            model.load_state_dict(_read_weights(Path(weights)))
        self.model = model.eval().requires_grad_(False).to(device)
        categories = (enum or known.DEFAULT).meta["categories"]
        self.class_names = tuple(categories) if "num_classes" not in options else ()
        self.score_threshold, self.maximum_size, self.device = score_threshold, maximum_size, device

    @torch.no_grad()
    def __call__(self, image: Image.Image, name: str = "") -> Proposals:
        """The detections of a picture, best first."""
        from torchvision.transforms.functional import pil_to_tensor

        small = image.convert("RGB")
        small.thumbnail((self.maximum_size, self.maximum_size))
        found = self.model([pil_to_tensor(small).float().div(255).to(self.device)])[0]
        boxes = (found["boxes"].cpu() / torch.tensor(small.size * 2)).clamp(0, 1)
        classes = [int(i) for i in found["labels"]]
        labels = tuple(self.class_names[i] for i in classes) if self.class_names else tuple(map(str, classes))
        proposals = Proposals(boxes, found["scores"].cpu(), labels)
        return proposals.keep(worth_a_look(boxes, small.size) & (proposals.scores >= self.score_threshold))


def _read_weights(path: Path) -> dict[str, Tensor]:
    """A state dict from .safetensors or .pth; nothing in the file is executed."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


class DetectionsFile:
    """Detections made elsewhere, looked up by the picture's name.

    Args:
        path: an .npz with `boxes` [images, n, 4] (shares of the sides, 0..1), `scores` and `classes` [images, n]
            (-1 where there is no detection), `filenames` [images], `class_names` [classes]; no pickled objects.

    Raises:
        FileNotFoundError: if it is not there.
        ValueError: if it is no such file, lacks an array, or an array has the wrong shape.
    """

    ARRAYS = ("boxes", "scores", "classes", "filenames", "class_names")

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise FileNotFoundError(f"no detections file at {self.path}")
        try:
            with np.load(self.path, allow_pickle=False) as file:
                missing = [name for name in self.ARRAYS if name not in file.files]
                if missing:
                    raise ValueError(f"it lacks {', '.join(missing)}; a detections file has {', '.join(self.ARRAYS)}")
                arrays = {name: file[name] for name in self.ARRAYS}
        except Exception as error:
            raise ValueError(f"{self.path} cannot be read as detections: {error}") from error
        images, n = arrays["scores"].shape if arrays["scores"].ndim == 2 else (-1, -1)
        shapes = {"boxes": (images, n, 4), "classes": (images, n), "filenames": (images,)}
        for key, shape in shapes.items():
            if arrays[key].shape != shape:
                raise ValueError(f"{self.path}: {key} has shape {arrays[key].shape}, wanted {shape} to fit the scores")
        self.boxes, self.scores, self.classes = (arrays[name] for name in self.ARRAYS[:3])
        self.class_names = tuple(str(kind) for kind in arrays["class_names"])
        if self.classes.size and int(self.classes.max()) >= len(self.class_names):
            raise ValueError(f"{self.path}: class {int(self.classes.max())}, but {len(self.class_names)} class names")
        self._row = {str(filename): row for row, filename in enumerate(arrays["filenames"])}

    def __call__(self, image: Image.Image, name: str = "") -> Proposals:
        """The detections of the picture called `name`; of the picture itself only the size is used.

        Raises:
            KeyError: for a name that the file lacks.
        """
        if name not in self._row:
            raise KeyError(f"{self.path} has no detections for {name!r}; it has {len(self._row)} pictures")
        row = self._row[name]
        real = self.classes[row] >= 0
        labels = tuple(self.class_names[i] for i in self.classes[row][real])
        boxes = torch.from_numpy(self.boxes[row][real].astype(np.float32)).clamp(0, 1)
        proposals = Proposals(boxes, torch.from_numpy(self.scores[row][real].astype(np.float32)), labels)
        return proposals.keep(worth_a_look(boxes, image.size))
