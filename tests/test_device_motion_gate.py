"""The motion gate, with drawn frames of a fixed camera."""

from __future__ import annotations

import math

import numpy as np
import pytest
from event_factory import detections
from hypothesis import given
from hypothesis import strategies as st

from device_apps.motion_gate import BlockMeans, MotionGate
from device_apps.sources.deferred_image import DeferredImage
from device_apps.sources.frames import Frame, Image
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.tiles import Tiles

SIZE = (120, 160)
NOTHING = detections(size=SIZE)


class Camera:
    """Fixed camera with ``noise`` (standard deviation of a pixel) whose frames pass a gate, ten a second."""

    def __init__(self, noise: float = 3.0, tiles: Tiles | None = None) -> None:
        self.rng = np.random.default_rng(0)
        self.scene = self.rng.uniform(40, 200, (*SIZE, 3))
        self.noise = noise
        self.gate = MotionGate(tiles=tiles)
        self.number = 0

    def frame(self, box: tuple[int, int, int, int] | None = None, light: float = 1.0, contrast: float = 60) -> Frame:
        scene = self.scene.copy()
        if box is not None:
            scene[box[1] : box[3], box[0] : box[2]] += contrast
        levels = scene * light + self.rng.normal(0, self.noise, scene.shape)
        pixels: Image = np.clip(levels, 0, 255).astype(np.uint8)
        self.number += 1
        return Frame(pixels, self.number, 0.0, "camera", time=self.number / 10)

    def detects(self, frame: Frame, found: Detections = NOTHING) -> bool:
        """Pass a frame; return whether the gate asks for a detection, which then is ``found``."""
        repeated = self.gate.repeated(frame)
        if repeated is None:
            self.gate.update(found)
        return repeated is None

    def settle(self, found: Detections = NOTHING) -> None:
        for _ in range(20):
            self.detects(self.frame(), found)
        while not self.detects(self.frame(), found):
            pass


@pytest.mark.parametrize("noise", [0.0, 3.0, 10.0])
def test_still_scene_is_detected_in_once_a_second(noise: float) -> None:
    camera = Camera(noise)
    asked = [camera.detects(camera.frame()) for _ in range(60)]
    assert all(asked[:5]), "until the scene is known to be still"
    assert sum(asked[20:]) == 4
    assert np.diff(np.flatnonzero(asked[20:])).tolist() == [10, 10, 10]


def test_black_scene_is_still_until_there_is_light() -> None:
    camera = Camera(noise=0)
    camera.scene[:] = 0
    camera.settle()
    assert sum(camera.detects(camera.frame()) for _ in range(40)) == 4
    camera.scene[:] = 1  # A gray level.
    assert camera.detects(camera.frame())


def test_small_object_is_noticed_in_its_first_frame_and_until_it_is_certain() -> None:
    camera = Camera()
    camera.settle()
    found = detections((0, (80, 60, 93, 73)), size=SIZE)
    box = (80, 60, 93, 73)  # 8 % of the width
    assert camera.detects(camera.frame(box), found)
    asked = [camera.detects(camera.frame(box), found) for _ in range(12)]
    assert all(asked[:4])
    assert sum(asked[5:]) <= 1
    assert camera.gate.repeated(camera.frame(box)) is found
    assert camera.detects(camera.frame()), "it vanished"


def test_object_that_differs_little_is_found_within_a_second() -> None:
    camera = Camera(noise=10)
    camera.settle()
    box = (80, 60, 93, 73)
    asked = [camera.detects(camera.frame(box, contrast=2)) for _ in range(10)]
    assert asked[-1]
    assert not any(asked[:-1])


def test_light_that_changes_slowly_is_no_motion() -> None:
    camera = Camera()
    camera.settle()
    asked = [camera.detects(camera.frame(light=1 - 0.005 * i)) for i in range(40)]
    assert sum(asked) == 4


def test_moving_camera_is_motion_as_long_as_it_moves() -> None:
    camera = Camera()
    camera.settle()
    for _ in range(30):
        camera.scene = np.roll(camera.scene, 7, axis=1) + camera.rng.normal(0, 12, (1, SIZE[1], 3))
        assert camera.detects(camera.frame())


def test_detections_that_flicker_are_looked_at_in_every_frame() -> None:
    camera = Camera()
    camera.settle()
    sure = detections((0, (80, 60, 93, 73)), size=SIZE)
    camera.number += 10
    for i in range(1, 20):
        assert camera.detects(camera.frame(), sure if i % 3 else NOTHING)


def test_same_boxes_of_another_class_are_a_change() -> None:
    camera = Camera()
    one, other = (detections((class_id, (80, 60, 93, 73)), size=SIZE) for class_id in (0, 1))
    camera.settle(one)
    camera.number += 10
    assert camera.detects(camera.frame(), other)
    assert camera.detects(camera.frame(), other)


def test_frame_of_another_size_and_time_that_goes_back_start_anew() -> None:
    camera = Camera()
    camera.settle()
    small = Frame(np.zeros((60, 80, 3), np.uint8), 0, 0.0, "camera", time=camera.number / 10)
    assert camera.detects(small)
    camera.settle()
    camera.number = 0
    assert camera.detects(camera.frame())


def test_deferred_image_is_not_loaded() -> None:
    camera = Camera()

    def fail() -> Image:
        raise AssertionError("loaded")

    for _ in range(30):
        frame = camera.frame()
        deferred = DeferredImage(frame.pixels[..., ::-1], (480, 640), fail)
        camera.detects(Frame(deferred, frame.sequence, 0.0, "camera", time=frame.time))
    assert camera.gate.repeated(Frame(deferred, 0, 0.0, "camera", time=frame.time)) is NOTHING


def test_tiles_make_smaller_blocks() -> None:
    box = (80, 60, 83, 63)  # 2 % of the width
    for tiles, asks in ((None, False), (Tiles.parse("4x4"), True)):
        camera = Camera(noise=1, tiles=tiles)
        camera.settle()
        assert camera.detects(camera.frame(box, contrast=10)) == asks


@given(height=st.integers(1, 700), width=st.integers(1, 700), seed=st.integers(0, 99))
def test_block_sums_are_those_of_their_samples(height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    means = BlockMeans((height, width), 20)
    means.read(pixels)
    assert means.sums.min() >= 0
    assert means.sums.max() <= 255 * means.samples
    green = pixels[(*means._slices, 1)].astype(int)
    assert means.sums.astype(int).sum() == green.sum()
    # All but less than a block is covered, at both ends alike.
    for side, taken in zip((height, width), means._slices, strict=True):
        before, after = taken.start, side - taken.stop
        assert abs(before - after) <= 1
        assert before <= 5 * math.ceil(max(height, width) / 160)
