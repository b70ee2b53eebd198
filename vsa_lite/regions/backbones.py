"""Any classifier as a maker of region features: the layer immediately before its classifier (chapters 4 and 5).

A backbone is a module and a transform. It is split in two: `trunk` makes a map of the picture, `head` makes of a map,
or of a region pooled from it, the vector that the classifier would see. The split is checked on construction: trunk and
head together must give what the module itself gives before its last linear layer.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn


class BackboneError(ValueError):
    """A backbone that cannot be found, loaded or split."""


@dataclass(frozen=True)
class Transform:
    """How a picture becomes the network's input: squashed to a square, scaled to 0..1, normalised by channel.

    One transform is stored with the features that it made; another one makes other features.

    Attributes:
        size: side of the square in pixels for the whole picture and for warped crops.
        mean, std: by channel, in units of 0..1.
    """

    size: int = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def pixels(self, image: Image.Image, size: int | None = None) -> np.ndarray:
        """The picture as uint8 [size, size, 3]."""
        size = size or self.size
        return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))

    def normalise(self, pixels: np.ndarray, device: torch.device | str = "cpu") -> Float[Tensor, "n 3 size size"]:
        """uint8 [n, size, size, 3] as the network's float input on its device, channels last in memory."""
        x = torch.from_numpy(np.array(pixels)).to(device).float()  # (n, size, size, 3)
        mean, std = torch.tensor([self.mean, self.std], device=device).mul(255).repeat(1, x.shape[2])
        x.flatten(2).sub_(mean).div_(std)  # whole rows at a time: three numbers at a time are slow
        return x.permute(0, 3, 1, 2)


class _Unpooled(nn.Module):
    """What remains of a network behind its map: pool, flatten, and the layers before the classifier."""

    def __init__(self, pool: nn.Module, layers: nn.Module, flatten_first: bool) -> None:
        super().__init__()
        self.pool, self.layers, self.flatten_first = pool, layers, flatten_first

    def forward(self, maps: Float[Tensor, "n c height width"]) -> Float[Tensor, "n d"]:
        x = self.pool(maps)
        return self.layers(x.flatten(1) if self.flatten_first else x).flatten(1)


def _without_classifier(module: nn.Module) -> tuple[nn.Module, str]:
    """Take the last linear layer away, in place; returns the module and that layer's name."""
    names = [name for name, part in module.named_modules() if isinstance(part, nn.Linear)]
    if not names:
        raise BackboneError("the backbone has no linear layer: its last one, the classifier, marks where features end")
    parent, _, last = names[-1].rpartition(".")
    setattr(module.get_submodule(parent) if parent else module, last, nn.Identity())
    return module, names[-1]


def _split(module: nn.Module, classifier: str) -> list[tuple[nn.Module, nn.Module]]:
    """Candidates of (trunk, head) for torchvision's families; which one is right is decided by running them."""
    children = dict(module.named_children())
    last = classifier.split(".")[0]
    if last not in children:
        return []
    before = [name for name in children if name not in (last, "avgpool", "AuxLogits", "aux1", "aux2")]
    trunk = nn.Sequential(*(children[name] for name in before if not isinstance(children[name], nn.Dropout)))
    pool = children.get("avgpool", nn.AdaptiveAvgPool2d(1))
    tails = [trunk, nn.Sequential(*trunk, nn.ReLU())]  # densenet has its last ReLU in `forward`
    return [(t, _Unpooled(pool, children[last], flat)) for t in tails for flat in (True, False)]


def fuse_batch_norm(module: nn.Module) -> None:
    """Fold every batch norm of an eval-mode network into the convolution before it, in place: same numbers, faster."""
    for child in module.children():
        fuse_batch_norm(child)
    if not isinstance(module, nn.Sequential):
        return
    names = list(module._modules)
    for first, second in pairwise(names):
        convolution, norm = module._modules[first], module._modules[second]
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            module._modules[first] = nn.utils.fusion.fuse_conv_bn_eval(convolution, norm)
            module._modules[second] = nn.Identity()


def _digest(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        digest.update(key.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


class Backbone:
    """A frozen network that gives CNN(I_b), the activations immediately before its classifier.

    The module is taken over: it loses its classifier, and its batch norms are folded away.

    Attributes:
        name: what it is, for provenance.
        transform: how pictures are made ready.
        feature_size: d (4,096 for VGG and AlexNet, 2,048 for ResNet-50, 1,280 for MobileNetV2).
        trunk, head: picture to map, map to vector; None where the network has no map (transformers): crops only.
    """

    def __init__(self, module: nn.Module, transform: Transform | None = None, name: str | None = None) -> None:
        self.name = name or type(module).__name__
        self.transform = transform or Transform()
        self.module, classifier = _without_classifier(module.eval().requires_grad_(False))
        self.trunk: nn.Module | None = None
        self.head: nn.Module | None = None
        probe = torch.rand(2, 3, self.transform.size, self.transform.size, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            try:
                whole = self.module(probe)
            except Exception as error:
                raise BackboneError(
                    f"backbone {self.name} does not take a picture of {self.transform.size} pixels: {error}"
                ) from error
            if not isinstance(whole, Tensor) or whole.ndim != 2:
                raise BackboneError(f"backbone {self.name} must give one vector a picture before its classifier")
            if not torch.isfinite(whole).all():
                raise BackboneError(f"backbone {self.name} gives features that are not finite")
            self.feature_size = whole.shape[1]
            tolerance = 1e-4 * float(whole.abs().max())  # untrained networks may give very small features
            for trunk, head in _split(self.module, classifier):
                try:
                    parts = head(trunk(probe))
                except Exception:  # a wrong split may fail in any way; another one is tried
                    continue
                if parts.shape == whole.shape and torch.allclose(parts, whole, atol=tolerance, rtol=1e-3):
                    self.trunk, self.head = trunk, head
                    break
        self._digest = _digest(self.module)  # before folding, whose last bits depend on the machine
        fuse_batch_norm(self.module)
        self.module.to(memory_format=torch.channels_last)
        self.device = torch.device("cpu")

    def to(self, device: torch.device | str) -> Backbone:
        """Move the network to a device, in place."""
        self.device = torch.device(device)
        for part in (self.module, self.trunk, self.head):  # the parts may hold copies, unfused, of the module's layers
            if part is not None:
                part.to(self.device)
        return self

    def provenance(self) -> dict:
        """What to store beside features: name, transform, and a digest of the weights."""
        return {"backbone": self.name, "transform": asdict(self.transform), "weights": self._digest}

    @torch.inference_mode()
    def vectors(self, pixels: np.ndarray) -> Float[Tensor, "n d"]:
        """Features of whole pictures, or of crops already warped: uint8 [n, size, size, 3]."""
        x = self.transform.normalise(pixels, self.device).contiguous(memory_format=torch.channels_last)
        return self.module(x).float()

    @torch.inference_mode()
    def maps(self, pixels: np.ndarray) -> Float[Tensor, "n c height width"]:
        """The trunk's maps of pictures: uint8 [n, size, size, 3]; a larger size gives small boxes a finer map.

        Raises:
            BackboneError: if the network has no map.
        """
        if self.trunk is None:
            raise BackboneError(f"backbone {self.name} has no map to pool regions from: use method='crop'")
        x = self.transform.normalise(pixels, self.device).contiguous(memory_format=torch.channels_last)
        return self.trunk(x).contiguous()

    @torch.inference_mode()
    def pooled_vectors(
        self, maps: Float[Tensor, "n c height width"], boxes: Float[Tensor, "n regions 4"], pool_size: int = 7
    ) -> Float[Tensor, "n regions d"]:
        """RoIAlign features: every box pooled from its picture's map to pool_size x pool_size, then the head.

        Args:
            maps: of :meth:`maps`.
            boxes: shares of the picture's sides.
            pool_size: side of a pooled region; 7 fits heads with fully connected layers.

        Source: He et al. 2017 (RoIAlign); Girshick 2015 (pooling regions from one map).
        """
        from torchvision.ops import roi_align

        n, regions, _ = boxes.shape
        if len(maps) != n:
            raise ValueError(f"boxes of {n} pictures, but {len(maps)} pictures")
        size = torch.tensor([maps.shape[3], maps.shape[2]] * 2, dtype=maps.dtype, device=self.device)
        corners = (boxes.to(self.device) * size).reshape(-1, 4)
        index = torch.arange(n, device=self.device).repeat_interleave(regions)[:, None]
        pooled = roi_align(
            maps, torch.cat([index, corners], 1), pool_size, sampling_ratio=2, aligned=True
        )  # (n * regions, c, pool_size, pool_size)
        return self.head(pooled).view(n, regions, self.feature_size).float()

    def region_vectors(
        self, pixels: np.ndarray, boxes: Float[Tensor, "n regions 4"], pool_size: int = 7
    ) -> Float[Tensor, "n regions d"]:
        """:meth:`pooled_vectors` of the :meth:`maps` of these pixels; arguments and errors as there."""
        return self.pooled_vectors(self.maps(pixels), boxes, pool_size)


def _load_function(spec: str) -> Callable:
    file, _, function = spec.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise BackboneError(f"no file {path} to take a backbone from (wanted: file.py:function)")
    module_spec = importlib.util.spec_from_file_location(f"vsa_lite_backbone_{path.stem}", path)
    if module_spec is None or module_spec.loader is None:
        raise BackboneError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module  # dataclasses look their module up there
    module_spec.loader.exec_module(module)
    try:
        return getattr(module, function)
    except AttributeError:
        raise BackboneError(f"{path} has no function {function!r}") from None


def load_backbone(
    name: str, weights: str | None = None, transform: Transform | None = None, allow_random: bool = False
) -> Backbone:
    """A backbone by name.

    Args:
        name: a torchvision classifier ("resnet50"), or "file.py:function", a function of yours that returns a module,
            or a module and its :class:`Transform`; it is called with `weights` if that is given.
        weights: of a torchvision classifier: the name in its weights enum ("DEFAULT", "IMAGENET1K_V2"; downloaded by
            torchvision), or a file with a state dict (a checkpoint that executes nothing is asked for).
        transform: overrides the one that comes with the weights.
        allow_random: let a torchvision classifier go without weights.

    Raises:
        BackboneError: for an unknown name, missing or foreign weights.
    """
    if name.rpartition(":")[0].endswith(".py"):
        file, _, function = name.rpartition(":")
        made = _load_function(name)(*([weights] if weights else []))
        module, own = made if isinstance(made, tuple) else (made, None)
        if not isinstance(module, nn.Module):
            raise BackboneError(f"{name} must return a module, or a module and its transform; got {type(made)}")
        return Backbone(module, transform or own, f"{Path(file).stem}:{function}")

    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        close = [model for model in known if model.startswith(name[:4])] or known
        raise BackboneError(
            f"torchvision has no classifier {name!r}; it has {', '.join(close[:12])}, ...; or give file.py:function"
        )
    if weights is None and not allow_random:
        raise BackboneError(
            f"{name} needs weights: 'DEFAULT', or a name of {models.get_model_weights(name).__name__}, or a file; "
            "without any its features mean nothing"
        )
    if weights is None or os.path.exists(weights):
        module = models.get_model(name, weights=None)
        if weights is not None:
            _load_state(module, Path(weights), name)
        return Backbone(module, transform, name)
    enum = models.get_model_weights(name)
    if weights not in enum.__members__:
        raise BackboneError(
            f"no weights {weights!r} for {name}: there are {', '.join(enum.__members__)}, or give a file that exists"
        )
    chosen = enum[weights]
    preset = chosen.transforms()
    preset_transform = Transform(preset.crop_size[0], tuple(preset.mean), tuple(preset.std))
    try:
        module = models.get_model(name, weights=chosen)
    except OSError as error:  # URLError is one
        raise BackboneError(f"{chosen.url} could not be downloaded: {error}; give a local file as weights") from error
    return Backbone(module, transform or preset_transform, f"{name}/{weights}")


def _load_state(module: nn.Module, path: Path, name: str) -> None:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        module.load_state_dict(state.get("state_dict", state) if isinstance(state, dict) else state)
    except Exception as error:
        first = str(error).splitlines()[0]
        if isinstance(error, pickle.UnpicklingError):
            first = "it is damaged, or holds more than tensors and would run code"
        raise BackboneError(f"{path} does not hold weights that fit {name}: {first}") from error
