"""edge_ssd.data.synthetic: objects match their labels, and the same seed draws the same images."""

from __future__ import annotations

import hashlib
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_ssd.boxes import box_iou
from edge_ssd.cli import main
from edge_ssd.data.load import load_dataset
from edge_ssd.data.synthetic.background import draw_background
from edge_ssd.data.synthetic.banana import random_banana, random_bunch
from edge_ssd.data.synthetic.canvas import noise
from edge_ssd.data.synthetic.generate import draw_scene, make_synthetic
from edge_ssd.data.synthetic.sprite import Sprite, draw_bananas
from edge_ssd.errors import DataError


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_make_synthetic_writes_the_book_format(tmp_path: Path) -> None:
    assert make_synthetic(tmp_path / "set", num_train=6, num_val=2, seed=3)
    for split, count in (("train", 6), ("val", 2)):
        dataset = load_dataset(tmp_path / "set", split, strict=True)  # type: ignore[arg-type]
        assert len(dataset) == dataset.num_boxes == count
        assert dataset.labels == ("banana",)
        assert dataset.format == "d2l_csv"
        assert {sample.size for sample in dataset.samples} == {(256, 256)}
    rows = (tmp_path / "set" / "bananas_train" / "label.csv").read_bytes().split(b"\n")
    assert rows[0] == b"img_name,label,xmin,ymin,xmax,ymax"
    assert [row.split(b",")[0] for row in rows[1:7]] == [b"%d.jpg" % number for number in range(6)]


def test_data_make_outside_a_checkout_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "edge_ssd.data.synthetic.generate", None)
    assert main(["data", "make", "--to", str(tmp_path / "set")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "needs a checkout of the repository, installed with: pip install -e '.[train]'" in error
    assert list(tmp_path.iterdir()) == []


def test_make_synthetic_is_deterministic_and_extends(tmp_path: Path) -> None:
    for name, train, seed in (("a", 4, 0), ("b", 4, 0), ("c", 5, 0), ("d", 4, 1)):
        make_synthetic(tmp_path / name, num_train=train, num_val=1, seed=seed, size=96)
    a, b, c, d = (digests(tmp_path / name) for name in "abcd")
    assert a == b
    images = [name for name in a if name.endswith(".jpg")]
    assert len(images) == 5
    assert all(c[name] == a[name] for name in images)
    assert all(d[name] != a[name] for name in images)
    assert len({a[name] for name in images}) == 5


def test_make_synthetic_reuses_and_never_overwrites(tmp_path: Path) -> None:
    make_synthetic(tmp_path / "set", 2, 1, size=64)
    before = digests(tmp_path / "set")
    assert not make_synthetic(tmp_path / "set", 2, 1, size=64)
    with pytest.raises(DataError, match="is not an empty folder"):
        make_synthetic(tmp_path / "set", 3, 1, size=64)
    assert digests(tmp_path / "set") == before


def test_make_synthetic_interrupted_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(drawn: int, total: int | None) -> None:
        assert total == 6
        if drawn == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_synthetic(tmp_path / "set", 5, 1, size=64, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", [{"num_train": 0}, {"num_val": -1}, {"seed": -1}, {"size": 63}, {"size": 4096}])
def test_make_synthetic_rejects_arguments_out_of_range(tmp_path: Path, bad: dict[str, int]) -> None:
    name, value = next(iter(bad.items()))
    with pytest.raises(DataError, match=f"{name} must be from .* got {value}"):
        make_synthetic(tmp_path / "set", **bad)
    assert list(tmp_path.iterdir()) == []


def test_draw_scene_boxes_are_inside_and_disjoint() -> None:
    for seed in range(6):
        image, boxes = draw_scene(rng(seed), (240, 320), bananas=3)
        assert image.shape == (240, 320, 3)
        assert image.dtype == np.uint8
        assert boxes.shape == (3, 4)
        assert boxes.dtype == np.float32
        assert (boxes >= 0).all()
        assert (boxes[:, 2] <= 320).all()
        assert (boxes[:, 3] <= 240).all()
        assert np.array_equal(np.triu(box_iou(boxes, boxes), 1), np.zeros((3, 3)))


def test_draw_scene_changes_pixels_inside_boxes_only() -> None:
    background, no_boxes = draw_scene(rng(4), bananas=0)
    image, boxes = draw_scene(rng(4), bananas=1)
    assert no_boxes.shape == (0, 4)
    left, top, right, bottom = (int(side) for side in boxes[0])
    changed = (image != background).any(axis=-1)
    assert changed[top:bottom, left:right].mean() > 0.2
    # The box is tight around half-opaque pixels; the antialiased edge extends at most two pixels further.
    changed[top - 2 : bottom + 2, left - 2 : right + 2] = False
    assert not changed.any()


def test_draw_scene_box_sides_match_the_book() -> None:
    sides = []
    for seed in range(60):
        _, boxes = draw_scene(rng(seed))
        sides.append(float((boxes[0, 2:] - boxes[0, :2]).max()))
    assert 40 <= min(sides) <= 48
    assert 70 <= max(sides) <= 78


@pytest.mark.parametrize("angle", [0.0, 0.7, math.pi / 2, 4.0])
@pytest.mark.parametrize("count", [1, 2])
def test_sprite_has_requested_size_and_position(angle: float, count: int) -> None:
    for seed in range(4):
        sprite = draw_bananas(random_bunch(rng(seed), count), 64, angle, (100.3, 50.8))
        left, top, right, bottom = sprite.box_xyxy
        assert abs(max(right - left, bottom - top) - 64) <= 1.5
        assert abs((left + right) / 2 - 100.3) <= 1
        assert abs((top + bottom) / 2 - 50.8) <= 1


def test_sprite_box_is_tight_around_opaque_pixels() -> None:
    rgba = np.zeros((10, 12, 4), np.uint8)
    rgba[3:5, 4:9, 3] = 128
    rgba[2, 4, 3] = 127  # less than half opaque
    assert Sprite(rgba, 100, 200).box_xyxy == (104, 203, 109, 205)
    assert Sprite(rgba[:2], 7, 8).box_xyxy == (7, 8, 7, 8)


def test_sprite_rotation_by_a_right_angle() -> None:
    bunch = random_bunch(rng(2), 1)
    original = draw_bananas(bunch, 60, 0.0).rgba[..., 3] >= 128
    rotated = draw_bananas(bunch, 60, math.pi / 2).rgba[..., 3] >= 128
    # Image y points down, so a positive angle rotates clockwise: rot90 by -1.
    expected = np.rot90(original, -1)
    assert abs(rotated.sum() - expected.sum()) < 0.01 * expected.sum()
    assert rotated.shape == expected.shape
    assert (rotated == expected).mean() > 0.98


def test_sprite_is_yellow_and_opaque() -> None:
    for seed in range(20):
        generator = rng(seed)
        bunch = random_bunch(generator, 1)
        rgba = draw_bananas(bunch, 70, generator.uniform(0, 2 * math.pi)).rgba
        assert rgba.dtype == np.uint8
        inside = rgba[rgba[..., 3] == 255][:, :3].astype(int)
        assert len(inside) > 300
        red, green, blue = np.median(inside, axis=0)
        assert red > 120
        assert red >= green - 25
        assert green > blue + 20
        assert (rgba[[0, 0, -1, -1], [0, -1, 0, -1], 3] == 0).all()


def test_bananas_of_a_bunch_have_no_dark_overlap() -> None:
    for seed in range(6):
        inside = draw_bananas(random_bunch(rng(seed), 2), 90, 1.0).rgba
        colors = inside[inside[..., 3] == 255][:, :3]
        assert (colors.max(axis=1) < 10).mean() < 0.02


def test_backgrounds_differ_and_are_valid_images() -> None:
    images = set()
    for seed in range(24):
        image = draw_background(rng(seed), 48, 80)
        assert image.shape == (48, 80, 3)
        assert image.dtype == np.float32
        assert np.isfinite(image).all()
        assert image.min() >= 0
        assert image.max() <= 1
        assert image.std() > 1e-3
        images.add(image.tobytes())
    assert len(images) == 24


@pytest.mark.parametrize("stretch", [0.2, 1.0, 5.0])
def test_noise_fills_its_range_and_is_stretched(stretch: float) -> None:
    field = noise(rng(), 120, 120, cell=20, octaves=3, stretch=stretch)
    assert field.shape == (120, 120)
    assert field.min() == 0
    assert field.max() == pytest.approx(1)
    down, across = np.abs(np.diff(field, axis=0)).mean(), np.abs(np.diff(field, axis=1)).mean()
    if stretch == 1:
        assert 0.7 < down / across < 1.4
    else:
        assert (down > 2 * across) == (stretch > 1)


def test_random_banana_is_deterministic() -> None:
    assert random_banana(rng(5)) == random_banana(rng(5))
    assert random_banana(rng(5)) != random_banana(rng(6))
