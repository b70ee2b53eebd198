"""Opening pictures of any kind as RGB."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageOps


class PictureError(ValueError):
    """A picture that is missing or cannot be read; the message names it."""


def open_image(path: str | Path) -> Image.Image:
    """Open a picture file as RGB, turned upright.

    Raises:
        PictureError: if the file is missing, truncated, or no picture.
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except FileNotFoundError:
        raise PictureError(f"no picture at {path}") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise PictureError(f"{path} cannot be read as a picture: {error}") from error
