"""Tensors with a header in one safetensors file, with a digest that notices every change."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import torch


def content_digest(tensors: dict[str, torch.Tensor], header: dict[str, str]) -> str:
    """SHA-256 of all tensors and of the header, the digest itself left out."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)} {tensors[name].dtype}".encode())
        digest.update(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    for name in sorted(header):
        digest.update(f"{name}={header[name]}".encode())
    return digest.hexdigest()


def write_tensors(path: str | Path, tensors: dict[str, torch.Tensor], header: dict[str, str]) -> None:
    """Write them with their digest; to a temporary file first, so that an older one is never half overwritten."""
    from safetensors.torch import save_file

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    save_file(tensors, temporary, metadata={**header, "digest": content_digest(tensors, header)})
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(temporary, 0o666 & ~umask)  # safetensors leaves it to its owner alone
    os.replace(temporary, path)
