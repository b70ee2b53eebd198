"""Opening pictures of any kind as RGB: palettes, grey, CMYK, 16 bits, transparency, rotation, huge sizes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

# Larger pictures are reduced to this many pixels on the longer side. Boxes are shares, so nothing else changes.
MAX_SIDE = 4096


class PictureError(ValueError):
    """A picture that is missing or cannot be read; the message names it."""


def open_image(path: str | Path) -> Image.Image:
    """Open a picture file as 8-bit RGB, turned upright as its EXIF data says.

    Transparent pictures are laid on white, 16-bit grey is scaled to 8 bits, an animation gives its first frame. A side
    above `MAX_SIDE` pixels is reduced to it; JPEG files are then decoded at the smaller size, which is quick and
    small in memory. Above Pillow's own limit (179 million pixels) a picture is refused;
    from half of that on, Pillow warns.

    Raises:
        PictureError: if the file is missing, a folder, empty, truncated, too large, or no picture.
    """
    path = Path(path)
    if path.is_dir():
        raise PictureError(f"{path} is a folder, not a picture")
    try:
        if path.stat().st_size == 0:
            raise PictureError(f"{path} is an empty file, not a picture")
        with Image.open(path) as image:
            _ask_for_reduced_size(image)
            image.load()
            rgb = _to_rgb(_upright(image))
    except PictureError:
        raise
    except FileNotFoundError:
        raise PictureError(f"no picture at {path}") from None
    except Image.UnidentifiedImageError:
        raise PictureError(f"{path} is not a picture of a known kind") from None
    except Image.DecompressionBombError:
        limit = f"{2 * (Image.MAX_IMAGE_PIXELS or 0):,}"
        raise PictureError(f"{path} is too large: above {limit} pixels; save it smaller first") from None
    except Exception as error:  # decoders meet broken files with many kinds of error, and one must not stop thousands
        raise PictureError(f"{path} cannot be read as a picture: {error}") from error
    if max(rgb.size) > MAX_SIDE:
        rgb.thumbnail((MAX_SIDE, MAX_SIDE))
    return rgb


def _ask_for_reduced_size(image: Image.Image) -> None:
    """Let the decoder skip pixels that would be thrown away; only JPEG can, other kinds ignore it."""
    shrink = max(image.size) / MAX_SIDE
    if shrink > 1:
        image.draft(None, (math.ceil(image.width / shrink), math.ceil(image.height / shrink)))


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF data is no reason to lose a good picture
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        # convert() would cut everything above 255 to white; 65535 / 255 = 257
        return Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        return _stretched(np.nan_to_num(np.asarray(image, dtype=np.float64)))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _stretched(values: np.ndarray) -> Image.Image:
    """Numbers without a known range: the smallest becomes black, the largest white."""
    low, high = values.min(), values.max()
    scaled = (values - low) * (255 / (high - low) if high > low else 0)
    return Image.fromarray(scaled.round().astype(np.uint8)).convert("RGB")
