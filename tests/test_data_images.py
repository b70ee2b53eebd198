"""Every kind of picture that people have opens as upright RGB, or is refused by name."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from vsa_lite.data import images
from vsa_lite.data.images import MAX_SIDE, PictureError, open_image

RED, BLUE = (220, 30, 40), (20, 60, 200)


def two_colours(width=40, height=20):
    """Red left, blue right."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image


def close(pixel, colour, tolerance=12):
    return all(abs(a - b) <= tolerance for a, b in zip(pixel, colour, strict=True))


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp", "gif"])
def test_formats(tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    two_colours().save(path, **({"quality": 95, "subsampling": 0} if suffix == "jpg" else {}))
    image = open_image(path)
    assert image.mode == "RGB"
    assert image.size == (40, 20)
    assert close(image.getpixel((5, 10)), RED)
    assert close(image.getpixel((35, 10)), BLUE)


@pytest.mark.parametrize("mode", ["P", "L", "1", "CMYK", "YCbCr", "LA", "RGBA"])
def test_modes_keep_their_colours(tmp_path, mode):
    suffix = "jpg" if mode in ("CMYK", "YCbCr") else "png"
    source = two_colours().convert(mode)
    source.save(tmp_path / f"a.{suffix}", **({"quality": 95, "subsampling": 0} if suffix == "jpg" else {}))
    image = open_image(str(tmp_path / f"a.{suffix}"))
    assert image.mode == "RGB"
    for x in (5, 35):
        assert close(image.getpixel((x, 10)), source.convert("RGB").getpixel((x, 10)))


def test_sixteen_bits_are_scaled_not_cut(tmp_path):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(4, 0)
    for suffix in ("png", "tif"):
        Image.fromarray(ramp).save(tmp_path / f"a.{suffix}")
        values = np.asarray(open_image(tmp_path / f"a.{suffix}"))
        np.testing.assert_array_equal(values[..., 0], np.arange(256)[None].repeat(4, 0))
        np.testing.assert_array_equal(values[..., 0], values[..., 2])


def test_float_pictures_run_from_black_to_white(tmp_path):
    values = np.array([[-2.0, 0.0, 2.0, np.nan]], dtype=np.float32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(np.asarray(open_image(tmp_path / "a.tif"))[0, :, 0], [0, 128, 255, 128])
    Image.fromarray(np.full((2, 2), 7.0, dtype=np.float32)).save(tmp_path / "flat.tif")
    assert open_image(tmp_path / "flat.tif").getpixel((0, 0)) == (0, 0, 0)


def test_transparency_lies_on_white(tmp_path):
    image = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    image.putpixel((1, 1), (*RED, 255))
    image.putpixel((2, 2), (0, 0, 0, 128))
    image.save(tmp_path / "alpha.png")
    opened = open_image(tmp_path / "alpha.png")
    assert opened.getpixel((0, 0)) == (255, 255, 255)
    assert opened.getpixel((1, 1)) == RED
    assert close(opened.getpixel((2, 2)), (127, 127, 127), 1)
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([0, 0, 0, *RED])
    palette.putpixel((1, 1), 1)
    palette.save(tmp_path / "palette.png", transparency=0)
    assert open_image(tmp_path / "palette.png").getpixel((0, 0)) == (255, 255, 255)
    assert open_image(tmp_path / "palette.png").getpixel((1, 1)) == RED


@pytest.mark.parametrize(
    ("orientation", "size", "red_at"),
    [(1, (40, 20), (5, 10)), (3, (40, 20), (35, 10)), (6, (20, 40), (10, 5)), (8, (20, 40), (10, 35))],
)
def test_exif_turns_the_picture_upright(tmp_path, orientation, size, red_at):
    exif = Image.Exif()
    exif[0x0112] = orientation
    two_colours().save(tmp_path / "a.jpg", exif=exif, quality=95, subsampling=0)
    image = open_image(tmp_path / "a.jpg")
    assert image.size == size
    assert close(image.getpixel(red_at), RED)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_does_not_lose_the_picture(tmp_path):
    two_colours().save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12\0\x03")
    assert open_image(tmp_path / "a.jpg").size == (40, 20)


def test_the_first_frame_of_an_animation(tmp_path):
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), BLUE)
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    assert close(open_image(tmp_path / "a.gif").getpixel((3, 3)), RED)


def test_one_pixel(tmp_path):
    Image.new("RGB", (1, 1), BLUE).save(tmp_path / "a.png")
    assert open_image(tmp_path / "a.png").getpixel((0, 0)) == BLUE


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("height", [1, 500])
def test_twenty_thousand_pixels_wide(tmp_path, suffix, height):
    two_colours(20_000, height).save(tmp_path / f"wide.{suffix}")
    image = open_image(tmp_path / f"wide.{suffix}")
    assert image.width == MAX_SIDE
    assert image.height == max(1, round(height * MAX_SIDE / 20_000))
    assert close(image.getpixel((10, 0)), RED)
    assert close(image.getpixel((MAX_SIDE - 10, 0)), BLUE)


def test_large_jpeg_is_decoded_at_reduced_size(tmp_path, monkeypatch):
    two_colours(9_000, 300).save(tmp_path / "wide.jpg")
    decoded = []
    monkeypatch.setattr(images, "_upright", lambda image: decoded.append(image.size) or image)
    open_image(tmp_path / "wide.jpg")
    assert decoded == [(4_500, 150)]


def png_header(width, height):
    """A PNG file that claims a size and holds next to nothing."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def test_a_decompression_bomb_is_refused_without_the_memory(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png_header(60_000, 60_000))
    tracemalloc.start()
    with pytest.raises(PictureError, match=r"bomb\.png is too large: above 178,956,970 pixels"):
        open_image(tmp_path / "bomb.png")
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def jpeg_bytes():
    generator = np.random.default_rng(1)
    buffer = io.BytesIO()
    Image.fromarray(generator.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "GIF"])
def test_truncated_files_are_refused_by_name(tmp_path, suffix, share):
    buffer = io.BytesIO()
    Image.open(io.BytesIO(jpeg_bytes())).save(buffer, suffix)
    content = buffer.getvalue()
    (tmp_path / "cut").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(PictureError, match="cut "):
        open_image(tmp_path / "cut")


def test_what_is_no_picture_is_refused_by_name(tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("a black dog is running")
    (tmp_path / "folder.jpg").mkdir()
    for name, reason in [
        ("empty.jpg", "empty file"),
        ("text.jpg", "not a picture of a known kind"),
        ("folder.jpg", "folder"),
        ("none.jpg", "no picture at"),
    ]:
        with pytest.raises(PictureError, match=reason) as caught:
            open_image(tmp_path / name)
        assert name in str(caught.value)
