from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from label_writers import orientation_exif
from PIL import Image

from edge_ssd.errors import ImageError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.image_input import as_rgb
from edge_ssd.runtime.preprocess import preprocess, read_image, read_input, read_reduced, resize_transform

STRETCH = InputSpec(64, 128)
LETTERBOX = InputSpec(64, 128, resize="letterbox")

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


# Resize transform


def test_stretch_fills_the_input() -> None:
    transform = resize_transform((100, 50), STRETCH)
    assert (transform.left, transform.top, transform.width, transform.height) == (0, 0, 128, 64)
    assert transform.to_pixels([[0, 0, 1, 1], [0.5, 0.25, 0.75, 0.5]]).tolist() == [[0, 0, 50, 100], [25, 25, 37.5, 50]]


def test_letterbox_by_hand() -> None:
    # A square in a 64 × 128 input: 64 × 64 in the middle, 32 grey columns on either side.
    transform = resize_transform((100, 100), LETTERBOX)
    assert (transform.left, transform.top, transform.width, transform.height) == (32, 0, 64, 64)
    np.testing.assert_allclose(transform.to_pixels([0.25, 0, 0.75, 1]), [0, 0, 100, 100], atol=1e-4)
    np.testing.assert_allclose(transform.from_pixels([0, 0, 100, 100]), [0.25, 0, 0.75, 1], atol=1e-6)


def test_letterbox_of_thin_image_has_at_least_one_pixel() -> None:
    transform = resize_transform((4000, 1), LETTERBOX)
    assert (transform.width, transform.height) == (1, 64)
    assert preprocess(np.zeros((4000, 1, 3), np.uint8), LETTERBOX)[0].shape == (64, 128, 3)


def test_to_pixels_clips_boxes_to_image() -> None:
    assert resize_transform((100, 50), STRETCH).to_pixels([[-1, -1, 2, 2]]).tolist() == [[0, 0, 50, 100]]
    # A box inside the grey bar is clipped to an empty one.
    clipped = resize_transform((100, 100), LETTERBOX).to_pixels([[0, 0.1, 0.2, 0.5]])[0]
    assert clipped[0] == clipped[2] == 0


@given(
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    st.sampled_from(["stretch", "letterbox"]),
    st.tuples(*[st.floats(0, 1)] * 4),
)
@settings(deadline=None)
def test_to_pixels_inverts_from_pixels(size: tuple[int, int], resize: Any, fractions: tuple[float, ...]) -> None:
    transform = resize_transform(size, InputSpec(96, 64, resize=resize))
    height, width = size
    box = np.array(fractions, np.float32) * np.array([width, height, width, height], np.float32)
    restored = transform.to_pixels(transform.from_pixels(box))
    np.testing.assert_allclose(restored, box, atol=max(size) * 1e-4)
    assert (transform.from_pixels(box) >= -1e-6).all()
    assert (transform.from_pixels(box) <= 1 + 1e-6).all()


def test_box_functions_accept_no_boxes() -> None:
    transform = resize_transform((10, 10), STRETCH)
    assert transform.to_pixels(np.zeros((0, 4))).shape == (0, 4)
    assert transform.from_pixels(np.zeros((0, 4))).shape == (0, 4)


# Resizing


def test_preprocess_returns_image_of_input_size_unchanged() -> None:
    image = noise(64, 128)
    for spec in (STRETCH, LETTERBOX):
        assert (preprocess(image, spec)[0] == image).all()


def test_preprocess_of_earlier_models_resizes_with_pillow_bilinear() -> None:
    image = noise(200, 300)
    expected = Image.fromarray(image).resize((128, 64), Image.Resampling.BILINEAR)
    spec = InputSpec(64, 128, resampling="pillow-bilinear")
    assert (preprocess(image, spec)[0] == np.asarray(expected)).all()
    assert (preprocess(image, STRETCH)[0] != np.asarray(expected)).any()


def test_preprocess_antialiases_when_shrinking() -> None:
    # A checkerboard of single pixels becomes grey; sampling pixels would leave it black and white.
    board = np.indices((256, 512)).sum(axis=0) % 2 * 255
    pixels, _ = preprocess(np.repeat(board[..., None], 3, axis=2).astype(np.uint8), STRETCH)
    assert pixels.min() > 120
    assert pixels.max() < 136


def test_letterbox_pads_with_grey_in_the_middle() -> None:
    pixels, transform = preprocess(np.full((50, 50, 3), 200, np.uint8), LETTERBOX)
    assert (pixels[:, transform.left : transform.left + transform.width] == 200).all()
    assert (pixels[:, :32] == 114).all()
    assert (pixels[:, 96:] == 114).all()


@pytest.mark.parametrize("view", [np.s_[::-1], np.s_[..., ::-1], np.s_[::2, 5:]], ids=["flipped", "bgr", "cut"])
@pytest.mark.parametrize("shape", [(64, 128), (90, 70)])
def test_as_rgb_accepts_views(view: Any, shape: tuple[int, int]) -> None:
    image = noise(*shape)[view]
    pixels, _ = preprocess(image, STRETCH)
    assert pixels.flags.c_contiguous
    assert (pixels == preprocess(np.ascontiguousarray(image), STRETCH)[0]).all()


def test_preprocess_uses_custom_resize() -> None:
    sizes: list[tuple[int, int]] = []

    def corner(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        sizes.append(size)
        return image[: size[0], : size[1]]

    image = noise(200, 300)
    pixels, transform = preprocess(image, STRETCH, corner)
    assert (pixels == image[:64, :128]).all()
    assert pixels.flags.c_contiguous
    assert transform == resize_transform((200, 300), STRETCH)
    pixels, transform = preprocess(image, LETTERBOX, corner)  # 64 × 96 in the middle
    assert (transform.left, transform.width) == (16, 96)
    assert (pixels[:, 16:112] == image[:64, :96]).all()
    assert (pixels[:, :16] == 114).all()
    preprocess(image[:64, :128], STRETCH, corner)  # has the input's size
    assert sizes == [(64, 128), (64, 96)]


@pytest.mark.machine_independent
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "returned NoneType of shape None"),
        (np.zeros((128, 64, 3), np.uint8), r"shape \(64, 128, 3\), returned uint8 of shape \(128, 64, 3\)"),
        (np.zeros((64, 128), np.uint8), r"returned uint8 of shape \(64, 128\)"),
        (np.zeros((64, 128, 3), np.float32), "returned float32 of shape"),
    ],
)
def test_preprocess_rejects_wrong_resize_result(wrong: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        preprocess(noise(200, 300), STRETCH, lambda image, size: wrong)


def test_preprocess_does_not_modify_image() -> None:
    image = noise(90, 70)
    image.flags.writeable = False
    for spec in (STRETCH, LETTERBOX):
        preprocess(image, spec)


# Files


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGB", RED, RED),
        ("L", 200, (200, 200, 200)),
        ("1", 1, WHITE),
        ("LA", (200, 255), (200, 200, 200)),
        ("RGBA", (255, 0, 0, 255), RED),
        ("RGBA", (255, 0, 0, 0), WHITE),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),
        ("I;16", 65535, WHITE),
        ("I;16", 257 * 100, (100, 100, 100)),
    ],
)
def test_read_image_converts_png_modes(tmp_path: Path, mode: str, colour: Any, expected: tuple[int, int, int]) -> None:
    path = save(Image.new(mode, (5, 3), colour), tmp_path / "image.png")
    image = read_image(path)
    assert image.shape == (3, 5, 3)
    assert image.dtype == np.uint8
    assert (image == expected).all()


def test_read_image_converts_palettes(tmp_path: Path) -> None:
    pil_image = Image.new("P", (5, 3), 1)
    pil_image.putpalette([*BLUE, *RED])
    assert (read_image(save(pil_image, tmp_path / "p.png")) == RED).all()
    assert (read_image(save(pil_image, tmp_path / "t.png", transparency=1)) == WHITE).all()
    assert (read_image(save(pil_image, tmp_path / "p.gif")) == RED).all()


def test_read_image_converts_cmyk_and_grey_jpeg(tmp_path: Path) -> None:
    cmyk = read_image(save(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), tmp_path / "c.jpg"))
    assert (cmyk == 255).all()
    grey = read_image(save(Image.new("L", (16, 16), 77), tmp_path / "g.jpg"))
    assert grey.shape == (16, 16, 3)
    assert (abs(grey.astype(int) - 77) <= 2).all()


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, (0, 0)), (2, (0, -1)), (3, (-1, -1)), (4, (-1, 0)), (5, (0, 0)), (6, (0, -1)), (7, (-1, -1)), (8, (-1, 0))],
)
def test_read_image_applies_exif_orientation(tmp_path: Path, orientation: int, corner: tuple[int, int]) -> None:
    pil_image = Image.new("RGB", (8, 4), BLUE)
    pil_image.putpixel((0, 0), RED)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = read_image(save(pil_image, tmp_path / "turned.png", exif=exif))
    assert image.shape[:2] == ((4, 8) if orientation <= 4 else (8, 4))
    assert tuple(image[corner]) == RED


def test_read_image_returns_first_frame_of_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in (GREEN, RED)]
    path = save(frames[0], tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    assert (read_image(path) == GREEN).all()


def test_read_image_rejects_other_files(tmp_path: Path) -> None:
    good = save(Image.fromarray(noise(64, 64)), tmp_path / "good.jpg").read_bytes()
    for name, content in (("empty.jpg", b""), ("text.png", b"not an image"), ("cut.jpg", good[: len(good) // 2])):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ImageError, match=name) as caught:
            read_image(path)
        assert "\n" not in str(caught.value)


@pytest.mark.machine_independent
def test_read_image_rejects_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such image"):
        read_image(tmp_path / "absent.jpg")
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(ImageError):
        read_image("nul\0byte.jpg")


@pytest.mark.parametrize("value", [-1.0, 300.5, 70000.0, float("nan"), float("inf")])
def test_read_image_rejects_floating_point_values_without_a_range(tmp_path: Path, value: float) -> None:
    path = save(Image.new("F", (4, 4), value), tmp_path / "float.tiff")
    with pytest.raises(ImageError, match=r"float\.tiff.*convert it to 8 bits"):
        read_image(path)


@pytest.mark.parametrize(
    ("mode", "values", "expected"),
    [
        ("F", (0.0, 0.5, 1.0), (0, 128, 255)),
        ("F", (0.0, 100.4, 255.0), (0, 100, 255)),
        ("F", (0.0, 2048.0, 4095.0), (0, 128, 255)),
        ("I", (0, 100, 255), (0, 100, 255)),
        ("I", (0, 512, 1023), (0, 128, 255)),
        ("I", (0, 32896, 65535), (0, 128, 255)),
        ("I", (-5, 1000, 2**20), (0, 3, 255)),
        ("I;16", (0, 7, 255), (0, 7, 255)),
        ("I;16", (100, 512, 1023), (25, 128, 255)),
        ("I;16", (0, 2048, 4095), (0, 128, 255)),
        ("I;16", (0, 257, 4112), (0, 1, 16)),  # more than 12 bits: all 16 are in use
    ],
)
def test_read_image_scales_values_by_their_bits(
    tmp_path: Path, mode: str, values: tuple[float, ...], expected: tuple[int, ...]
) -> None:
    dtype = {"F": np.float32, "I": np.int32, "I;16": np.uint16}[mode]
    path = save(Image.fromarray(np.array([values], dtype)), tmp_path / "deep.tiff")
    assert read_image(path)[0, :, 0].tolist() == list(expected)


@pytest.mark.parametrize("value", [0, 9, 65537])
def test_read_image_ignores_impossible_orientations(tmp_path: Path, value: int) -> None:
    for name in ("a.jpg", "a.png", "a.webp"):
        path = save(Image.new("RGB", (8, 4)), tmp_path / name, exif=orientation_exif(value))
        assert read_image(path).shape == (4, 8, 3)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_read_image_ignores_damaged_exif(tmp_path: Path) -> None:
    for damaged in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"):
        assert read_image(save(Image.new("RGB", (8, 4)), tmp_path / "a.jpg", exif=damaged)).shape == (4, 8, 3)


def test_read_image_of_damaged_jpeg_reads_or_raises_image_error(tmp_path: Path) -> None:
    """A damaged byte gives an array or ImageError, no other exception."""
    exif = Image.Exif()
    exif[0x0112] = 6
    good = save(Image.fromarray(noise(32, 48)), tmp_path / "good.jpg", exif=exif).read_bytes()
    random = np.random.default_rng(1)
    path, refused = tmp_path / "bad.jpg", 0
    for _ in range(200):
        bad = bytearray(good)
        for place_of in random.integers(0, 700, random.integers(1, 4)):
            bad[place_of] = random.integers(0, 256)
        path.write_bytes(bad)
        try:
            image = read_image(path)
        except ImageError:
            refused += 1
        else:
            assert image.ndim == 3
            assert image.shape[2] == 3
    assert 0 < refused < 200


# Image types


def test_as_rgb_accepts_arrays_images_and_paths(tmp_path: Path) -> None:
    array = noise(6, 9)
    path = save(Image.fromarray(array), tmp_path / "image.png")
    assert as_rgb(array) is array
    for image in (path, str(path), Image.fromarray(array)):
        assert (as_rgb(image) == array).all()


def test_as_rgb_converts_pillow_image() -> None:
    assert (as_rgb(Image.new("RGBA", (2, 2), (255, 0, 0, 0))) == 255).all()
    with pytest.raises(ImageError, match="empty"):
        as_rgb(Image.new("RGB", (0, 4)))


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "LA", "PA", "La", "RGBa", "RGBX", "I;16"]
)
def test_as_rgb_converts_every_pillow_mode(mode: str) -> None:
    array = as_rgb(Image.new(mode, (3, 2)))
    assert (array.dtype, array.shape) == (np.uint8, (2, 3, 3))


def test_as_rgb_rejects_huge_array() -> None:
    shapes = [(1, 2**28 + 1, 3)]
    if sys.maxsize > 2**32:  # on a 32-bit system NumPy itself rejects the larger one
        shapes.append((2**20, 2**20, 3))
    for shape in shapes:
        with pytest.raises(ImageError, match="at most 268435456 pixels"):
            as_rgb(np.broadcast_to(np.uint8(7), shape))


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 100_000, 3), (100_000, 1, 3)])
def test_preprocess_accepts_images_of_extreme_shape(shape: tuple[int, int, int]) -> None:
    image = np.full(shape, 50, np.uint8)
    assert (preprocess(image, STRETCH)[0] == 50).all()
    pixels, transform = preprocess(image, LETTERBOX)
    assert min(transform.width, transform.height) >= 1
    assert (pixels == 50).any(axis=2).sum() == transform.width * transform.height


def test_as_rgb_returns_plain_array_of_subclass() -> None:
    class Odd(np.ndarray):
        def __getitem__(self, index: Any) -> Any:
            raise AssertionError("an array of another kind may do anything")

    image = noise(90, 70)
    masked = np.ma.masked_less(image, 100)
    for other in (image.view(Odd), masked, image.view(np.recarray)):
        assert type(as_rgb(other)) is np.ndarray
        assert (preprocess(as_rgb(other), STRETCH)[0] == preprocess(image, STRETCH)[0]).all()


@pytest.mark.machine_independent
@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4), np.uint8), r"\[4, 4\]"),
        (np.zeros((4, 4, 4), np.uint8), r"\[4, 4, 4\]"),
        (np.zeros((4, 4, 1), np.uint8), "stack"),
        (np.zeros((1, 4, 4, 3), np.uint8), "one image at a time"),
        (np.zeros((0, 4, 3), np.uint8), "empty"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.full((4, 4, 3), np.nan), "float64"),
        (np.zeros((4, 4, 3), np.int8), "int8"),
        (np.zeros((4, 4, 3), np.uint16), "uint16"),
        (np.array(["a"]), "uint8"),
        (None, "NoneType"),
        (b"bytes", "image data: not an image of a known format"),
        (7, "int"),
        ([[[0, 0, 0]]], "list"),
    ],
)
def test_as_rgb_rejects_other_values(image: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        as_rgb(image)


@pytest.mark.machine_independent
def test_read_image_reads_photos(shared_data: Path) -> None:
    """The first images of every dataset, with greyscale JPEGs and upper-case suffixes."""
    paths = [path for path in sorted(shared_data.rglob("*")) if path.suffix.lower() in (".jpg", ".png", ".jpeg")]
    for path in paths[:: max(1, len(paths) // 60)]:
        image = read_image(path)
        with Image.open(path) as pil_image:
            assert sorted(image.shape[:2]) == sorted(pil_image.size)
        assert preprocess(image, InputSpec())[0].shape == (256, 256, 3)


# Files at the size that a network needs


def photo(height: int, width: int) -> Image.Image:
    """Return a smooth image, which JPEG keeps well."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(9 * x + 5 * y) * np.cos(7 * y), np.sin(4 * x), np.cos(3 * y)]
    return Image.fromarray((127 + 120 * np.stack(waves, axis=-1)).astype(np.uint8))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((240, 320), (120, 160)),  # 80 columns would be less than 7/8 of 128
        ((243, 527), (60, 131)),
        ((120, 256), (60, 128)),
        ((100, 200), (100, 200)),
        ((1000, 1200), (125, 150)),
    ],
)
def test_jpeg_is_decoded_as_small_as_it_would_be_halved(
    tmp_path: Path, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    image, path = photo(*size), tmp_path / "a.jpg"
    image.save(path, quality=95)
    reduced = read_reduced(path, STRETCH)
    assert reduced.size == size
    assert reduced.pixels.shape == (*expected, 3)
    pixels, transform = read_input(path, STRETCH)
    full, full_transform = preprocess(read_image(path), STRETCH)
    assert transform == full_transform
    difference = np.abs(pixels.astype(int) - full)
    # A size that cannot be halved without a remainder is cut off on both sides, a reduced JPEG only on one.
    whole = all(length % (length // small) == 0 for length, small in zip(size, expected, strict=True))
    assert difference.mean() < (0.4 if whole else 1)
    assert difference.max() <= (3 if whole else 6)
    assert np.array_equal(read_reduced(path.read_bytes(), STRETCH).pixels, reduced.pixels)


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_other_formats_are_decoded_in_full(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    photo(240, 320).save(path)
    assert read_reduced(path, STRETCH).pixels.shape == (240, 320, 3)
    assert np.array_equal(read_input(path, STRETCH)[0], preprocess(read_image(path), STRETCH)[0])


def test_jpeg_is_decoded_in_full_for_earlier_models(tmp_path: Path) -> None:
    photo(240, 320).save(tmp_path / "a.jpg")
    spec = InputSpec(64, 128, resampling="pillow-bilinear")
    assert read_reduced(tmp_path / "a.jpg", spec).pixels.shape == (240, 320, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("spec", [STRETCH, LETTERBOX], ids=["stretch", "letterbox"])
def test_reduced_jpeg_is_upright(tmp_path: Path, orientation: int, spec: InputSpec) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "a.jpg"
    photo(251, 330).save(path, quality=95, exif=exif)
    pixels, transform = read_input(path, spec)
    full, full_transform = preprocess(read_image(path), spec)
    assert transform == full_transform
    assert np.abs(pixels.astype(int) - full).mean() < 2  # up to 3/4 of a pixel is cut off on the other side


def test_read_reduced_names_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.jpg: no such image"):
        read_reduced(tmp_path / "none.jpg", STRETCH)
    with pytest.raises(ImageError, match=r"image data: .*not an image of a known format"):
        read_reduced(b"not an image", STRETCH)
    with pytest.raises(ImageError, match=r"image data: .*the file is empty"):
        read_image(b"")
