"""edge_ssd.runtime.resize: NumPy against a plain restatement of the definition, and OpenCV against NumPy."""

from __future__ import annotations

import builtins
import concurrent.futures
import fractions
import functools
import hashlib
import itertools
import math
import os
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_ssd import Detector
from edge_ssd.errors import ImageError, SettingError
from edge_ssd.runtime import resize as resize_module
from edge_ssd.runtime.resize import halve_bilinear, numpy_resize, opencv_resize, uses_opencv
from edge_ssd.runtime.resize_plan import Plan, plan

SIDE = st.integers(1, 90)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("resize", [numpy_resize, opencv_resize])
@pytest.mark.parametrize(
    ("image", "size", "error", "message"),
    [
        (noise(4, 4), (0, 5), SettingError, "height of size must be a whole number from 1, got 0"),
        (noise(4, 4), (5, 2.5), SettingError, "width of size must be a whole number from 1, got 2.5"),
        (noise(4, 4), (True, 5), SettingError, "height of size must be a whole number from 1, got True"),
        (noise(4, 4), 5, SettingError, "size must be (height, width), got 5"),
        (noise(4, 4), (10**9, 10**9), SettingError, "pixels, got (1000000000, 1000000000)"),
        (noise(4, 4)[:0], (5, 5), ImageError, "must be a uint8 array [H, W, 3], got uint8 [0, 4, 3]"),
        (noise(4, 4) / 255, (5, 5), ImageError, "must be a uint8 array [H, W, 3], got float64 [4, 4, 3]"),
        (noise(4, 4)[..., 0], (5, 5), ImageError, "must be a uint8 array [H, W, 3], got uint8 [4, 4]"),
        ([[[1, 2, 3]]], (5, 5), ImageError, "must be a uint8 array [H, W, 3], got [[[1, 2, 3]]]"),
    ],
)
def test_other_images_and_sizes_are_refused(
    resize: Callable[..., Any], image: Any, size: Any, error: type[Exception], message: str
) -> None:
    """A size of 0 halved for ever."""
    if resize is opencv_resize:
        pytest.importorskip("cv2")
    with pytest.raises(error, match=re.escape(message)):
        resize(image, size)


READ_ONLY = noise(2, 3)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize("resize", [numpy_resize, opencv_resize])
@pytest.mark.parametrize(
    ("out", "got"),
    [
        (np.zeros((2, 3, 3)), "float64 [2, 3, 3]"),
        (noise(3, 2), "uint8 [3, 2, 3]"),
        (noise(2, 6)[:, ::2], "one with strides [18, 6, 1]"),
        (READ_ONLY, "a read-only one"),
        ([[1]], "[[1]]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_outputs_are_refused(resize: Callable[..., Any], out: Any, got: str) -> None:
    """They would stay without the result."""
    if resize is opencv_resize:
        pytest.importorskip("cv2")
    message = f"out must be a contiguous, writable uint8 array [2, 3, 3], got {got}"
    with pytest.raises(SettingError, match=re.escape(message)):
        resize(noise(4, 4), (2, 3), out)


def test_missing_opencv_is_named_before_the_first_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    for call in (lambda: opencv_resize(noise(4, 4), (2, 2)), lambda: Detector("banana-nano", resize=opencv_resize)):
        with pytest.raises(SettingError, match=r"needs OpenCV .* pip install opencv-python-headless"):
            call()


def restated(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the definition's result, pixel by pixel, with exact fractions as coordinates."""
    steps = plan(image.shape[:2], size)
    pixels = steps.crop(image).astype(int)
    for rows, columns in steps.halvings:
        height, width, channels = pixels.shape
        sums = pixels.reshape(height // rows, rows, width // columns, columns, channels).sum((1, 3))
        pixels = (sums + rows * columns // 2) // (rows * columns)
    rows, columns = (weight_matrix(source, target) for source, target in zip(pixels.shape, size, strict=False))
    sums = np.einsum("xt,ytc->yxc", columns, np.einsum("ys,stc->ytc", rows, pixels))
    return ((sums + 2**15) // 2**16).astype(np.uint8)


def weight_matrix(source: int, target: int) -> np.ndarray:
    weights = np.zeros((target, source), int)
    for i in range(target):
        position = (i + fractions.Fraction(1, 2)) * source / target - fractions.Fraction(1, 2)
        first = math.floor(position)
        weight = round((position - first) * 256)  # ties to even
        for pixel, part in ((first, 256 - weight), (first + 1, weight)):
            weights[i, min(max(pixel, 0), source - 1)] += part
    return weights


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ((256, 256), (256, 256), Plan(0, 0, 0)),
        ((480, 640), (256, 256), Plan(1, 0, 0)),  # 240 is 15/16 of 256
        ((446, 640), (256, 256), Plan(0, 0, 1)),  # 223 is less than 7/8
        ((720, 1280), (256, 256), Plan(1, 0, 1)),
        ((1080, 1920), (256, 256), Plan(2, 0, 0)),
        ((2048, 256), (256, 256), Plan(0, 3, 0)),
        ((100, 100), (256, 256), Plan(0, 0, 0)),
    ],
)
def test_plan_of_halvings(source: tuple[int, int], target: tuple[int, int], expected: Plan) -> None:
    assert plan(source, target) == expected


def test_crop_is_centered() -> None:
    image = noise(13, 22)
    assert np.array_equal(Plan(1, 1, 2).crop(image), image[:12, 3:19])


@given(SIDE, SIDE, SIDE, SIDE, st.integers(0, 9))
@settings(deadline=None)
def test_numpy_resize_follows_definition(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    image = noise(height, width, seed)
    actual = numpy_resize(image, (rows, columns))
    assert actual.flags.c_contiguous
    # A tie of a weight may be broken by the rounding of a coordinate, which moves a pixel by at most one level.
    difference = np.abs(actual.astype(int) - restated(image, (rows, columns)))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 0.02


def test_pixels_are_the_same_on_every_machine() -> None:
    digest = hashlib.sha256()
    for height, width in ((480, 640), (720, 1280), (301, 403), (100, 90)):
        digest.update(numpy_resize(noise(height, width), (256, 256)).tobytes())
    assert digest.hexdigest()[:16] == "2e43089a81e12605"


def test_means_round_halves_up() -> None:
    image = np.array([[[0, 0, 1]] * 2, [[1, 1, 1], [1, 0, 1]]], np.uint8)
    assert numpy_resize(image, (1, 1)).tolist() == [[[1, 0, 1]]]
    assert numpy_resize(image[1:], (1, 1)).tolist() == [[[1, 1, 1]]]


@pytest.mark.parametrize("value", [0, 1, 127, 254, 255])
def test_uniform_image_stays_uniform(value: int) -> None:
    for source, target in itertools.product(((7, 9), (480, 640), (333, 57)), ((40, 50), (64, 64), (256, 256))):
        assert (numpy_resize(np.full((*source, 3), value, np.uint8), target) == value).all()


@given(st.integers(1, 700), st.integers(1, 700), st.integers(1, 300), st.integers(1, 300), st.integers(0, 9))
@settings(deadline=None)
def test_opencv_gives_the_pixels_of_numpy(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    pytest.importorskip("cv2")
    image = noise(height, width, seed)
    assert np.array_equal(opencv_resize(image, (rows, columns)), numpy_resize(image, (rows, columns)))


@pytest.mark.parametrize("view", [np.s_[::-1], np.s_[:, ::-1], np.s_[..., ::-1], np.s_[::2, 5:]], ids=str)
def test_opencv_accepts_views(view: Any) -> None:
    pytest.importorskip("cv2")
    image = noise(300, 401)[view]
    for size in ((64, 80), (310, 64), (300, 401)):
        actual = opencv_resize(image, size)
        assert actual.flags.c_contiguous
        assert np.array_equal(actual, numpy_resize(image, size))


@pytest.mark.parametrize("source", [(480, 640), (40, 50), (300, 256), (64, 80), (128, 160)], ids=str)
def test_result_is_written_to_out(source: tuple[int, int]) -> None:
    image = noise(*source)
    for resize in (numpy_resize, halve_bilinear):
        out = np.zeros((64, 80, 3), np.uint8)
        assert np.shares_memory(resize(image, (64, 80), out), out)
        assert np.array_equal(out, numpy_resize(image, (64, 80)))


def test_threads_do_not_share_intermediate_arrays() -> None:
    images = [noise(300 + 7 * i, 400 + 9 * i, i) for i in range(8)]
    expected = [numpy_resize(image, (64, 64)) for image in images]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in range(10):
            actual = list(pool.map(lambda image: numpy_resize(image, (64, 64)), images))
            assert all(np.array_equal(a, b) for a, b in zip(actual, expected, strict=True))


def test_image_longer_than_opencv_allows_is_resized() -> None:
    image = noise(2, 40_000)
    assert np.array_equal(halve_bilinear(image, (2, 100)), numpy_resize(image, (2, 100)))


class TestChoiceOfOpenCV:
    @pytest.fixture(autouse=True)
    def fresh(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setattr(resize_module, "_calls", itertools.count())
        resize_module._process_of_opencv.cache_clear()
        yield
        resize_module._process_of_opencv.cache_clear()

    def test_used_at_once_if_loaded(self) -> None:
        pytest.importorskip("cv2")
        assert uses_opencv()

    def test_loaded_after_some_calls(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "cv2", raising=False)
        monkeypatch.setattr(resize_module, "_process_of_opencv", functools.cache(os.getpid))
        assert [uses_opencv() for _ in range(12)] == [False] * 10 + [True] * 2

    def test_not_used_in_process_forked_from_that_of_opencv(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("cv2")
        assert uses_opencv()
        parent = os.getpid()
        monkeypatch.setattr(resize_module.os, "getpid", lambda: parent + 1)
        assert not uses_opencv()

    def test_not_used_if_it_does_not_load(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("cv2")
        monkeypatch.delitem(sys.modules, "cv2")
        importing = builtins.__import__

        def fail(name: str, *arguments: Any, **keywords: Any) -> Any:
            if name == "cv2":
                raise ImportError("libGL.so.1: cannot open shared object file")
            return importing(name, *arguments, **keywords)

        monkeypatch.setattr(builtins, "__import__", fail)
        assert not resize_module._process_of_opencv()

    def test_not_used_if_its_pixels_differ(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        cv2 = pytest.importorskip("cv2")
        resize = cv2.resize
        monkeypatch.setattr(cv2, "resize", lambda *a, **k: resize(*a, **{**k, "interpolation": cv2.INTER_LINEAR}))
        assert not resize_module._process_of_opencv()
        assert "images are resized with NumPy" in caplog.text
