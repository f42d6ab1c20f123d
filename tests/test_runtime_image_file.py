"""edge_ssd.runtime.image_file: which files are opened as images, and the EXIF orientation."""

from __future__ import annotations

import os
import socket
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from edge_ssd.errors import ImageError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.image_file import IMAGE_SUFFIXES, exif_orientation, open_image, rotate_upright, upright_size
from edge_ssd.runtime.preprocess import read_image, read_reduced

# Formats that Pillow decodes and that are not labeled, or whose files run a program or hold other things than images.
OTHER_FORMATS = {
    *("BLP", "BUFR", "CUR", "DCX", "DDS", "EPS", "FITS", "FLI", "FTEX", "GBR", "GRIB", "HDF5", "ICNS", "ICO", "IM"),
    *("IPTC", "MPEG", "MSP", "PALM", "PCD", "PCX", "PDF", "PIXAR", "PSD", "QOI", "SGI", "SPIDER", "SUN", "WMF", "XBM"),
    *("XPM", "XVTHUMB"),
}


def test_all_suffixes_of_pillow_are_images_except_those_of_other_formats() -> None:
    suffixes = {suffix for suffix, name in Image.registered_extensions().items() if name not in OTHER_FORMATS}
    # An installed plugin may add formats to Pillow's own.
    assert suffixes - IMAGE_SUFFIXES - {".jxl"} == set()
    assert {
        ".jpg",
        ".jfif",
        ".jpe",
        ".mpo",
        ".webp",
        ".jp2",
        ".jpf",
        ".avif",
        ".heic",
        ".dib",
        ".tif",
    } <= IMAGE_SUFFIXES


@pytest.mark.parametrize("name", ["a.jfif", "a.jpe", "a.webp", "a.dib", "a.tif", "a.pgm", "a.jp2", "a.tga", "a.mpo"])
def test_open_image_of_every_common_format(tmp_path: Path, name: str) -> None:
    Image.new("L", (6, 4), 100).save(tmp_path / name)
    # The content decides where the suffix is wrong, except for TGA, which has no signature.
    for path in (tmp_path / name, *([] if name == "a.tga" else [tmp_path / "wrong.png", tmp_path / "none"])):
        path.write_bytes((tmp_path / name).read_bytes())
        assert read_image(path).shape == (4, 6, 3)


@pytest.mark.parametrize(("name", "suffix"), [("EPS", ".jpg"), ("PDF", ".png"), ("PCX", ".png"), ("ICO", ".bmp")])
def test_open_image_refuses_other_formats_under_any_suffix(tmp_path: Path, name: str, suffix: str) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / f"a{suffix}", format=name)
    with pytest.raises(ImageError, match="not an image of a known format"):
        open_image(tmp_path / f"a{suffix}")


def test_pointer_of_git_lfs_names_the_command(tmp_path: Path) -> None:
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12\n"
    (tmp_path / "a.jpg").write_text(text, encoding="utf-8")
    with pytest.raises(ImageError, match="git lfs pull"):
        open_image(tmp_path / "a.jpg")


def test_pipes_sockets_and_devices_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match=r"pipe\.jpg: is a named pipe, not a file"):
        read_image(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match="is a device"):
        read_image("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        path = tmp_path / "s.jpg"
        if len(str(path)) < 100:  # the limit of a socket's path
            listener.bind(str(path))
            with pytest.raises(ImageError, match="is a socket"):
                read_image(path)


def test_heic_is_read_or_names_the_package(tmp_path: Path) -> None:
    path = tmp_path / "a.heic"
    try:
        import pillow_heif
    except ImportError:
        path.write_bytes(struct.pack(">I4s4sI4s", 24, b"ftyp", b"heic", 0, b"mif1") + b"\0" * 100)
        with pytest.raises(ImageError, match="pip install pillow-heif"):
            read_image(path)
    else:
        pillow_heif.from_pillow(Image.new("RGB", (64, 48), (200, 10, 10))).save(path)
        assert read_image(path).shape == (48, 64, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotate_upright_is_what_pillow_does(orientation: int) -> None:
    from PIL import ImageOps

    image = Image.frombytes("L", (3, 2), bytes(range(6)))
    image.getexif()[0x0112] = orientation
    assert exif_orientation(image) == 1, "an image in memory has none"
    expected = ImageOps.exif_transpose(image)
    assert rotate_upright(image, orientation).tobytes() == expected.tobytes()
    assert rotate_upright(image, orientation).size == expected.size


@pytest.mark.parametrize("suffix", ["tif", "png", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_size_is_that_of_the_decoded_image(tmp_path: Path, suffix: str, orientation: int) -> None:
    """Pillow states the size of a rotated TIFF as it is seen, that of other files as it is stored."""
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (64, 48), (200, 10, 10)).save(path, exif=exif)
    expected = (48, 64) if orientation < 5 else (64, 48)
    with open_image(path) as image:
        assert upright_size(image) == expected
        image.load()
        assert upright_size(image) == expected
    assert read_image(path).shape[:2] == expected
    assert read_reduced(path, InputSpec(32, 32)).size == expected


def test_exif_behind_the_pixels_of_a_png_counts(tmp_path: Path) -> None:
    """Such a chunk is valid; a reader of the header alone does not meet it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 4)).save(path)
    data, chunk = path.read_bytes(), b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    late = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(data[:-12] + late + data[-12:])
    with open_image(path) as image:
        assert exif_orientation(image) == 6
    assert read_image(path).shape == (8, 4, 3)
