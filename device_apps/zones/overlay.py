"""Overlay of zones and lines with their counts, drawn into the annotated image."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from device_apps.zones.monitor import ZoneMonitor
from device_apps.zones.shapes import Line, Zone, ZoneSet
from edge_ssd.drawing import Color, Image, draw_detections, draw_label
from edge_ssd.runtime.detections import Detections

__all__ = ["LINE_COLOR", "ZONE_COLOR", "ZoneOverlay", "draw_zones"]

ZONE_COLOR: Color = (255, 200, 0)
LINE_COLOR: Color = (0, 200, 255)
_ARROW = 0.06  # Length of the arrow that points to "in", 0–1 of the shorter side.


class ZoneOverlay:
    """Drawer of results: boxes, and above them the zones and lines of a monitor with their present counts."""

    def __init__(self, monitor: ZoneMonitor) -> None:
        self._monitor = monitor

    def draw(self, image: Image, detections: Detections) -> Image:
        """Return a copy of an image, uint8 RGB [H, W, 3], with detections, zones and lines."""
        canvas = draw_detections(image, detections)
        shapes = self._monitor.shapes
        if shapes.zones or shapes.lines:
            draw_zones(canvas, shapes, self._monitor.counts())
        return canvas


def draw_zones(canvas: Image, shapes: ZoneSet, counts: dict[str, Any]) -> None:
    """Draw zones, and lines with an arrow that points to "in", into an image; ``counts`` as of a monitor."""
    height, width = canvas.shape[:2]
    flat = canvas.reshape(-1, 3)
    for pixels, color in _outlines(shapes, height, width):
        flat[pixels] = color
    for zone in shapes.zones:
        present = sum(row["count"] for row in counts["zones"].get(zone.name, {}).values())
        x, y = min(zone.points, key=lambda point: (point[1], point[0]))
        draw_label(canvas, f"{zone.name}: {present}", ZONE_COLOR, round(x * width), round(y * height))
    for line in shapes.lines:
        rows = counts["lines"].get(line.name, {}).values()
        text = f"{line.name}: in {sum(row['in'] for row in rows)} out {sum(row['out'] for row in rows)}"
        x, y = line.points[0]
        draw_label(canvas, text, LINE_COLOR, round(x * width), round(y * height))


@functools.lru_cache(maxsize=8)  # The images of a camera have few sizes.
def _outlines(shapes: ZoneSet, height: int, width: int) -> list[tuple[npt.NDArray[np.intp], Color]]:
    """Return the pixels of the outlines of zones and of lines, as indices into the image's pixels, and their colors."""
    from PIL import Image as PillowImage
    from PIL import ImageDraw

    line_width = max(1, round(min(height, width) / 240))
    found = []
    for items, color in ((shapes.zones, ZONE_COLOR), (shapes.lines, LINE_COLOR)):
        canvas = PillowImage.new("1", (width, height))
        draw = ImageDraw.Draw(canvas)
        for item in items:
            points = [(x * (width - 1), y * (height - 1)) for x, y in item.points]
            if isinstance(item, Zone):
                draw.line([*points, points[0]], fill=1, width=line_width, joint="curve")
            elif isinstance(item, Line):
                draw.line(points, fill=1, width=2 * line_width)
                draw.line(_arrow(points, min(height, width) * _ARROW), fill=1, width=line_width)
        found.append((np.flatnonzero(np.asarray(canvas)), color))
    return found


def _arrow(points: list[tuple[float, float]], length: float) -> list[tuple[float, float]]:
    """Return a path in pixels that draws an arrow from the middle of a line to its right side, which is "in"."""
    (x0, y0), (x1, y1) = points
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    size = max(1e-9, float(np.hypot(x1 - x0, y1 - y0)))
    along_x, along_y = (x1 - x0) / size * length, (y1 - y0) / size * length
    right_x, right_y = -along_y, along_x  # y is downwards
    tip = (x + right_x, y + right_y)
    left_barb = (x + 0.6 * right_x - 0.3 * along_x, y + 0.6 * right_y - 0.3 * along_y)
    right_barb = (x + 0.6 * right_x + 0.3 * along_x, y + 0.6 * right_y + 0.3 * along_y)
    return [(x, y), tip, left_barb, tip, right_barb]
