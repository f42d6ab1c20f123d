"""Masks hide pixels in every image of a frame, and the overlay draws zones."""

from __future__ import annotations

import time

import numpy as np
import pytest

from device_apps.sources.deferred_image import DeferredImage
from device_apps.sources.frames import Frame
from device_apps.zones.active_zones import ActiveZones
from device_apps.zones.masking import MASK_GREY, MaskedSource, hide, mask_frame, masked_rectangles
from device_apps.zones.monitor import ZoneMonitor
from device_apps.zones.overlay import LINE_COLOR, ZONE_COLOR, ZoneOverlay
from device_apps.zones.shapes import Mask
from edge_ssd.runtime.detections import Detections

CORNER = Mask("corner", ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)))
TRIANGLE = Mask("triangle", ((0.6, 0.6), (0.97, 0.7), (0.7, 0.93)))


def image(height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width, 3), 200, np.uint8)


@pytest.mark.parametrize("writeable", [True, False])
def test_hide_paints_masks_grey(writeable: bool) -> None:
    before = image()
    before.flags.writeable = writeable
    hidden = hide(before, (CORNER,))
    assert (hidden is before) == writeable
    assert (before == 200).all() != writeable
    assert (hidden[:20, :30] == MASK_GREY).all()
    assert (hidden[23:] == 200).all()
    assert (hidden[:, 33:] == 200).all()


@pytest.mark.parametrize("size", [(40, 60), (41, 37), (7, 9), (1, 1)])
def test_every_pixel_that_a_mask_touches_is_hidden(size: tuple[int, int]) -> None:
    height, width = size
    found = np.zeros(size, bool)
    for top, bottom, left, right in masked_rectangles((TRIANGLE,), height, width):
        assert not found[top:bottom, left:right].any()
        found[top:bottom, left:right] = True
    # Points of the triangle, many in each pixel.
    weights = np.random.default_rng(0).dirichlet([0.5] * 3, 20_000)
    points = weights @ np.array(TRIANGLE.points)
    x, y = np.minimum((points * (width, height)).astype(int), (width - 1, height - 1)).T
    assert found[y, x].all()


def test_masks_of_a_deferred_image_hide_all_that_comes_from_it() -> None:
    full, small = image(40, 60), image(20, 30)
    deferred = DeferredImage(small[..., ::-1], (40, 60), lambda: full, lambda side: small)
    frame = mask_frame(Frame(deferred, 3, 0.0, "camera"), (CORNER,))
    assert frame.size == (40, 60)
    assert frame.sequence == 3
    for pixels, (rows, columns) in ((frame.pixels, (10, 15)), (frame.at_least(25), (10, 15)), (frame.image, (20, 30))):
        assert (pixels[:rows, :columns] == MASK_GREY).all()
        assert (pixels[-3:, -3:] == 200).all()


class OneFrame:
    name, live, fps, ended = "camera", True, 30.0, False
    counts = None

    def read(self, timeout: float) -> Frame | None:
        return Frame(image(), 0, time.monotonic(), "camera") if timeout else None


def test_masked_source_hides_masks_of_the_moment() -> None:
    active = ActiveZones(None, {})
    source = MaskedSource(OneFrame(), active)  # type: ignore[arg-type]
    assert (source.name, source.live, source.fps, source.ended) == ("camera", True, 30.0, False)
    assert source.read(0) is None
    frame = source.read(1)
    assert frame is not None
    assert (frame.image == 200).all()
    masked = ActiveZones(None, {"masks": [{"points": [list(point) for point in CORNER.points]}]})
    frame = MaskedSource(OneFrame(), masked).read(1)  # type: ignore[arg-type]
    assert frame is not None
    assert frame.image[0, 0, 0] == MASK_GREY


@pytest.mark.parametrize("size", [(360, 480), (8, 8), (1, 1)])
def test_overlay_draws_zones_and_lines(size: tuple[int, int]) -> None:
    zone = {"name": "gate", "points": [[0.1, 0.4], [0.9, 0.4], [0.9, 0.9], [0.1, 0.9]]}
    active = ActiveZones(None, {"zones": [zone], "lines": [{"name": "door", "points": [[0, 0.2], [1, 0.2]]}]})
    active.check(["banana"])
    before = np.zeros((*size, 3), np.uint8)
    drawn = ZoneOverlay(ZoneMonitor(active, ["banana"])).draw(before, Detections.empty(size))
    assert not before.any()
    colors = {tuple(color) for color in drawn.reshape(-1, 3).tolist()}
    assert LINE_COLOR in colors
    if min(size) > 1:
        assert ZONE_COLOR in colors
    if size == (360, 480):
        assert tuple(drawn[round(0.9 * 359), 240]) == ZONE_COLOR
        assert tuple(drawn[round(0.2 * 359), 5]) == LINE_COLOR
        assert not drawn[250:300, 200:300].any()  # Inside nothing is painted.


def test_overlay_without_zones_is_the_drawing_of_detections() -> None:
    overlay = ZoneOverlay(ZoneMonitor(ActiveZones(), ["banana"]))
    assert (overlay.draw(image(), Detections.empty((40, 60))) == 200).all()
