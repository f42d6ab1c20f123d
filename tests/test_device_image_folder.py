"""Images and folders as sources, and invalid source names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from device_apps.sources.frames import SourceCounts
from device_apps.sources.image_folder import ImageFolderSource, list_images
from device_apps.sources.open_source import open_source
from edge_ssd.errors import ImageError, SourceError
from edge_ssd.network import InputSpec


def save(path: Path, size: tuple[int, int] = (40, 30), color: str = "red") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


def test_folder_delivers_its_images_by_name(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.PNG", "c.webp", ".hidden.png"):
        save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "folder.jpg").mkdir()
    source = open_source(str(tmp_path))
    with source:
        frames = list(source)
    assert [Path(frame.name).name for frame in frames] == ["a.PNG", "b.jpg", "c.webp"]
    assert [frame.sequence for frame in frames] == [0, 1, 2]
    assert all(frame.image.shape == (30, 40, 3) for frame in frames)
    assert all(frame.read_seconds > 0 for frame in frames)
    assert (source.live, source.fps, source.ended) == (False, None, True)
    assert source.counts == SourceCounts(frames=3)


def test_single_image(tmp_path: Path) -> None:
    path = save(tmp_path / "photo.jpg")
    with open_source(str(path)) as source:
        (frame,) = list(source)
    assert frame.name == str(path)
    assert frame.image[15, 20, 0] > 250 > 5 > frame.image[15, 20, 2]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_image_mode_is_converted_to_rgb(tmp_path: Path, shared_data: Path, mode: str) -> None:
    with Image.open(shared_data / "photos" / "d2l_banana.jpg") as photo:
        gray = np.asarray(photo.convert("L"))
        if mode == "I;16":
            Image.fromarray(gray.astype(np.uint16) * 257).save(tmp_path / "photo.png")
        else:
            photo.convert(mode).save(tmp_path / ("photo.tif" if mode == "CMYK" else "photo.png"))
    with open_source(str(tmp_path)) as source:
        (frame,) = list(source)
    assert (frame.image.dtype, frame.image.shape) == (np.uint8, (256, 256, 3))
    if mode != "1":
        assert np.abs(frame.image.mean(axis=2) - gray).mean() < 12


def test_exif_orientation_is_applied(tmp_path: Path, shared_data: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Rotate clockwise to display.
    with Image.open(shared_data / "photos" / "d2l_catdog.jpg") as photo:
        upright = np.asarray(photo.convert("RGB"))
        photo.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "phone.jpg", exif=exif, quality=95)
    with open_source(str(tmp_path)) as source:
        (frame,) = list(source)
    assert frame.image.shape == upright.shape
    assert np.abs(frame.image.astype(int) - upright).mean() < 5


def test_unreadable_images_are_logged_counted_and_skipped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_text("not an image")
    (tmp_path / "c.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:300])
    save(tmp_path / "d.jpg")
    with open_source(str(tmp_path), skip_unreadable=True) as source:
        frames = list(source)
    assert [Path(frame.name).name for frame in frames] == ["a.jpg", "d.jpg"]
    assert [frame.sequence for frame in frames] == [0, 3]
    assert isinstance(source, ImageFolderSource)
    assert source.unreadable == len(caplog.messages) == 2
    assert str(tmp_path / "b.jpg") in caplog.messages[0]
    assert str(tmp_path / "c.jpg") in caplog.messages[1]


def test_unreadable_image_is_an_error_by_default(tmp_path: Path) -> None:
    (tmp_path / "b.jpg").write_text("not an image")
    with open_source(str(tmp_path / "b.jpg")) as source, pytest.raises(ImageError, match=r"b\.jpg"):
        list(source)


def test_source_without_images() -> None:
    with ImageFolderSource([], "empty") as source:
        assert source.ended
        assert list(source) == []


def test_error_of_folder_without_images_lists_its_folders(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no images in this folder: give a folder of"):
        list_images(tmp_path)
    save(tmp_path / "inside" / "a.jpg")
    with pytest.raises(SourceError, match="only inside/; give one of these folders"):
        list_images(tmp_path)


@pytest.mark.parametrize("spec", ["missing.jpg", "missing/", "", "webcam", "²", "-1"])
def test_missing_source_is_an_error(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.jpg")  # An empty name, from an unset shell variable, must not mean this folder.
    with pytest.raises(SourceError, match="no such source; give an image, a folder, a video, a camera"):
        open_source(spec)


@pytest.mark.parametrize(
    "spec",
    ["1.2.3.4/x", "me:secret@camera/x", "camera.lan:80", "http:/camera/x", "rtsp//camera/x", "me:se@cr/et@1.2.3.4:80"],
)
def test_url_without_its_scheme_is_named_without_its_password(spec: str) -> None:
    with pytest.raises(SourceError, match="a URL begins with http://, https:// or rtsp://") as caught:
        open_source(spec)
    assert "secret" not in str(caught.value)
    assert "cr/et" not in str(caught.value)


def test_misspelled_source_is_named_with_a_similar_one(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "first.jpg")
    for spec in ("photso", "photso/first.jpg", "photos/frist.jpg"):
        meant = tmp_path / "photos" / ("first.jpg" if "/" in spec else "")
        with pytest.raises(SourceError, match=f"no such source \\(did you mean {meant}\\?\\); give"):
            open_source(str(tmp_path / spec))


def test_jpeg_is_reduced_for_the_network_and_loaded_in_full_when_shown(tmp_path: Path) -> None:
    image = Image.new("RGB", (800, 600), "teal")
    image.save(tmp_path / "a.jpg")
    image.save(tmp_path / "b.png")
    source = ImageFolderSource(list_images(tmp_path), "folder", input_spec=InputSpec(128, 160))
    jpeg, png = list(source)
    assert (jpeg.size, jpeg.pixels.shape) == ((600, 800), (150, 200, 3))
    assert jpeg.image.shape == (600, 800, 3)
    assert jpeg.image is jpeg.image
    assert (png.size, png.pixels.shape) == ((600, 800), (600, 800, 3))
    assert png.image is png.pixels
