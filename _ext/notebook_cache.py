"""Sphinx extension: chapters are executed again whenever the package or a library under it has changed.

jupyter-cache looks only at a notebook's own cells. So the folder of its cache is named after the contents of
`vsa_lite/` and the versions of the libraries; Sphinx then sees a changed setting and reads every page again.
"""

from __future__ import annotations

import hashlib
import sys
from importlib import metadata
from pathlib import Path

from sphinx.application import Sphinx

LIBRARIES = ("torch", "torchvision", "numpy", "matplotlib", "pillow", "ipywidgets", "nltk", "safetensors")


def fingerprint(root: Path) -> str:
    """A hash of everything that a chapter's output depends on, besides its own cells."""
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted((root / "vsa_lite").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    for name in LIBRARIES:
        digest.update(f"{name}={metadata.version(name)}\n".encode())
    return digest.hexdigest()[:16]


def cache_folder(root: Path) -> Path:
    """Where executed chapters lie that were made by the package and the libraries as they are now."""
    return root / "_build" / ".jupyter_cache" / fingerprint(root)


def configure(app: Sphinx, config) -> None:
    config.nb_execution_cache_path = str(cache_folder(Path(app.srcdir)))


def setup(app: Sphinx):
    app.connect("config-inited", configure)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
