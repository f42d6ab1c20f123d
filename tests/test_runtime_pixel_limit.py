"""Images that state a huge size are refused before they are decoded."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_ssd.errors import ImageError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.pixel_limit import MAX_MEGAPIXELS_VARIABLE
from edge_ssd.runtime.preprocess import read_image, read_input

HERE = Path(__file__).resolve().parent


def png_bomb(path: Path, width: int, height: int) -> Path:
    """Write the beginning of a PNG of a size that the file does not have the pixels of."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


@pytest.mark.parametrize("size", [(7100, 7100), (13_300, 13_400), (60_000, 60_000), (2**31 - 1, 1), (60_000_000, 1)])
def test_read_image_refuses_too_many_pixels(size: tuple[int, int], tmp_path: Path) -> None:
    message = rf"{size[0] * size[1] / 1e6:.0f} megapixels and more than 50; .*{MAX_MEGAPIXELS_VARIABLE}"
    with pytest.raises(ImageError, match=message):
        read_image(png_bomb(tmp_path / "bomb.png", *size))
    with pytest.raises(ImageError, match=message):
        read_image((tmp_path / "bomb.png").read_bytes())


@pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp", ".tif", ".jpg", ".ppm", ".webp"])
def test_limit_holds_for_all_formats_and_can_be_raised(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"image{suffix}"
    Image.new("RGB", (400, 300), (1, 2, 3)).save(path)
    monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "0.1")
    with pytest.raises(ImageError, match=r"has 400x300 pixels, 0 megapixels and more than 0.1; reduce it"):
        read_image(path)
    monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "0.12")
    assert read_image(path).shape == (300, 400, 3)


def test_jpeg_is_decoded_at_reduced_size_above_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image.jpg"
    Image.new("RGB", (1600, 1200), (1, 2, 3)).save(path)
    monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, "0.5")
    image, transform = read_input(path, InputSpec(256, 256))
    assert image.shape == (256, 256, 3)
    assert transform.image_size == (1200, 1600)
    with pytest.raises(ImageError, match=MAX_MEGAPIXELS_VARIABLE):
        read_image(path)


@pytest.mark.parametrize("value", ["x", "-1", "0", "nan", "1e9"])
def test_invalid_limit_is_named(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MAX_MEGAPIXELS_VARIABLE, value)
    with pytest.raises(ImageError, match=f"{MAX_MEGAPIXELS_VARIABLE} must be a positive number"):
        read_image(png_bomb(tmp_path / "image.png", 10, 10))


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA", "I;16", "CMYK", "L", "1"])
def test_strips_give_the_same_pixels(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    if mode == "I;16":
        image = Image.fromarray(random.integers(0, 4096, (60, 70)).astype(np.uint16))
    else:
        image = Image.fromarray(random.integers(0, 256, (60, 70, 4), np.uint8).copy(), "RGBA").convert(mode)
    path = tmp_path / "image.tif"
    image.save(path)
    whole = read_image(path)
    monkeypatch.setattr("edge_ssd.runtime.pixel_values._STRIP_PIXELS", 500)
    np.testing.assert_array_equal(read_image(path), whole)


@pytest.mark.machine_independent
@pytest.mark.parametrize("mode", ["RGBA", "P", "I;16", "RGB"])
def test_memory_of_decoding_is_at_most_ten_bytes_a_pixel(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    Image.new(mode, (6000, 5000)).save(path, compress_level=1)
    code = (
        "import resource, sys; from edge_ssd.runtime.preprocess import read_image; read_image(sys.argv[2]);"
        "a = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; read_image(sys.argv[1]);"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - a) * 1024 / 30e6)"
    )
    small = tmp_path / "small.png"
    Image.new(mode, (60, 50)).save(small)
    command = [sys.executable, "-c", code, str(path), str(small)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(HERE.parent)})
    assert float(done.stdout) < 10
