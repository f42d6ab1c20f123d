"""Sprites of bananas, drawn from formulas: a tapering body along an arc, with light, ridges, ends and specks.

Geometry, in units of the arc's radius: the spine follows the arc from the blossom tip (t = 0) to the stem (t = 1);
``u`` is the position across the body, −1 on the inner side to 1 on the outer side. (t, u) is computed for every pixel
in closed form, so that size, rotation and subpixel position are exact; shading is a function of (t, u) and the light.
The origin is the end of the stem, where the bananas of a bunch are joined.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_ssd.boxes import FloatArray
from edge_ssd.data.synthetic.banana import Banana
from edge_ssd.data.synthetic.canvas import blend, rgb, smooth_step

__all__ = ["Sprite", "draw_bananas"]

RGBAArray = npt.NDArray[np.uint8]

_SUPERSAMPLE = 3
_MARGIN = 2  # pixels around the outline, for its antialiased edge
_TABLE_SIZE = 256  # samples of each function of t

# Half-width along the body, from tip to stem, relative to the maximum.
_PROFILE_T = (0.0, 0.025, 0.06, 0.12, 0.22, 0.38, 0.6, 0.74, 0.83, 0.89, 0.95, 1.0)
_PROFILE_W = (0.24, 0.30, 0.52, 0.79, 0.96, 1.0, 0.98, 0.86, 0.58, 0.35, 0.27, 0.30)


@dataclass(frozen=True, eq=False)
class Sprite:
    """Image with transparency, uint8 [H, W, 4] RGBA, to be pasted with its top left pixel at (x, y)."""

    rgba: RGBAArray
    x: int
    y: int

    @property
    def box_xyxy(self) -> tuple[int, int, int, int]:
        """Tight box around the pixels that are at least half opaque, in pixels of the target image."""
        opaque = self.rgba[..., 3] >= 128
        columns, rows = np.flatnonzero(opaque.any(axis=0)), np.flatnonzero(opaque.any(axis=1))
        if not len(columns):
            return self.x, self.y, self.x, self.y
        left, right, top, bottom = (int(index) for index in (*columns[[0, -1]], *rows[[0, -1]]))
        return self.x + left, self.y + top, self.x + right + 1, self.y + bottom + 1


def draw_bananas(
    bunch: Sequence[Banana], side: float, angle: float, center: tuple[float, float] = (0.0, 0.0)
) -> Sprite:
    """Draw a bunch of bananas, rotated by ``angle`` radians.

    Args:
        side: longer side of the bounding box in pixels; the drawn side differs by less than a pixel.
        center: center (x, y) of the bounding box in pixels.
    """
    outlines = [_outline(banana, angle + banana.rotation) for banana in bunch]
    low = np.min([outline.min(axis=0) for outline in outlines], axis=0)
    high = np.max([outline.max(axis=0) for outline in outlines], axis=0)
    scale = side / float((high - low).max())
    stem = np.asarray(center) - scale * (low + high) / 2
    x0, y0 = (math.floor(value) - _MARGIN for value in stem + scale * low)
    x1, y1 = (math.ceil(value) + _MARGIN for value in stem + scale * high)
    width, height = x1 - x0, y1 - y0
    xs = x0 + (np.arange(width * _SUPERSAMPLE) + 0.5) / _SUPERSAMPLE - stem[0]
    ys = y0 + (np.arange(height * _SUPERSAMPLE) + 0.5) / _SUPERSAMPLE - stem[1]
    px, py = np.meshgrid((xs / scale).astype(np.float32), (ys / scale).astype(np.float32))
    color = np.zeros((*px.shape, 3), np.float32)  # premultiplied by alpha
    alpha = np.zeros((*px.shape, 1), np.float32)
    for banana in bunch:
        source, coverage = _shade(banana, px, py, angle + banana.rotation, scale)
        color = source * coverage + color * (1 - coverage)
        alpha = coverage + alpha * (1 - coverage)
    blocks = (height, _SUPERSAMPLE, width, _SUPERSAMPLE, -1)
    color = color.reshape(blocks).mean(axis=(1, 3))
    alpha = alpha.reshape(blocks).mean(axis=(1, 3))
    rgba = np.concatenate([color / np.maximum(alpha, 1e-6), alpha], axis=-1)
    return Sprite(np.rint(np.clip(rgba, 0, 1) * 255).astype(np.uint8), x0, y0)


def _shape_tables(banana: Banana) -> tuple[FloatArray, FloatArray]:
    """Return half-width and spine radius at ``_TABLE_SIZE`` even steps of t."""
    t = np.linspace(0, 1, _TABLE_SIZE)
    # A longer stem moves the rest towards the tip.
    profile_t = [1 - (1 - knot) * banana.stem_length if knot > 0.7 else knot for knot in _PROFILE_T]
    width = np.interp(t, profile_t, _PROFILE_W)
    kernel = np.hanning(25)
    width = np.convolve(np.pad(width, 12, mode="edge"), kernel / kernel.sum(), mode="valid")
    length = 2 * banana.half_angle
    width = width * banana.thickness * length
    bend = np.clip((t - 0.72) / 0.28, 0, 1) ** 2
    spine = 1 + banana.stem_bend * length * bend + banana.bulge * width.max() * np.sin(np.pi * t)
    return width.astype(np.float32), spine.astype(np.float32)


def _stem_end(banana: Banana, spine: FloatArray) -> tuple[float, float]:
    """Return (x, y) of the end of the stem relative to the center of the arc."""
    return float(spine[-1]) * math.cos(banana.half_angle), float(spine[-1]) * math.sin(banana.half_angle)


def _outline(banana: Banana, angle: float) -> npt.NDArray[np.float64]:
    """Return points [2·_TABLE_SIZE, 2] of the outline, in arc radii relative to the end of the stem."""
    width, spine = _shape_tables(banana)
    theta = np.linspace(-banana.half_angle, banana.half_angle, _TABLE_SIZE)
    radius = np.concatenate([spine - width, spine + width]).astype(np.float64)
    theta = np.tile(theta, 2)
    stem_x, stem_y = _stem_end(banana, spine)
    x, y = radius * np.cos(theta) - stem_x, radius * np.sin(theta) - stem_y
    cos, sin = math.cos(angle), math.sin(angle)
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def _shade(banana: Banana, px: FloatArray, py: FloatArray, angle: float, scale: float) -> tuple[FloatArray, FloatArray]:
    """Return color [h, w, 3] and coverage [h, w, 1] in 0–1, at points in arc radii relative to the end of the stem."""
    width_table, spine_table = _shape_tables(banana)
    stem_x, stem_y = _stem_end(banana, spine_table)
    cos, sin = math.cos(angle), math.sin(angle)
    x, y = cos * px + sin * py + stem_x, -sin * px + cos * py + stem_y
    radius, theta = np.hypot(x, y), np.arctan2(y, x)
    t: FloatArray = np.clip((theta + banana.half_angle) / (2 * banana.half_angle), 0, 1).astype(np.float32)
    index = np.rint(t * (_TABLE_SIZE - 1)).astype(np.intp)
    half_width, across = width_table[index], radius - spine_table[index]
    beyond_end = (np.abs(theta) - banana.half_angle) * radius
    distance = np.maximum(np.abs(across) - half_width, beyond_end) * scale  # pixels, negative inside
    coverage = np.clip(0.5 - distance * _SUPERSAMPLE, 0, 1)
    u: FloatArray = np.clip(across / half_width, -1, 1).astype(np.float32)

    brightness = _brightness(banana, u, theta + np.float32(angle))
    color = _color_of_brightness(brightness, banana)
    color *= _texture(banana.texture_seed, t, u)[..., None]
    # Green extends from both ends, further from the stem.
    green = banana.green * np.maximum(smooth_step(0.7, 0.98, t), 0.8 * smooth_step(0.22, 0.0, t))
    color = blend(color, rgb(banana.end_green) * (0.45 + 0.75 * brightness[..., None]), green)
    for speck_t, speck_u, size, darkness in banana.specks:
        dt, du = (t - speck_t) / size, (u - speck_u) * banana.thickness / size
        color = blend(color, rgb((0.33, 0.2, 0.08)), darkness * np.exp(-(dt**2) * 0.5 - du**2))
    if banana.sticker is not None:
        color = _draw_sticker(banana.sticker, banana.thickness, color, t, u)
    brown = np.maximum(smooth_step(0.045, 0.015, t), smooth_step(0.955, 0.985, t)) * banana.tip
    color = blend(color, rgb(banana.end_brown) * (0.6 + 0.5 * brightness[..., None]), brown)
    if banana.outline:
        rim = banana.outline * np.clip(distance / banana.outline_width + 1.5, 0, 1)
        color = blend(color, rgb((0.1, 0.07, 0.02)), rim)
    return np.clip(color, 0, 1).astype(np.float32), coverage[..., None].astype(np.float32)


def _brightness(banana: Banana, u: FloatArray, outward: FloatArray) -> FloatArray:
    """Return brightness, 0–1, of a ridged cylinder; ``outward`` is the direction across the body in the image."""
    slope = np.arcsin(u)
    # A banana has five sides, three or four of them visible, with ridges between them at these slopes.
    edges = np.array([-1.6, -0.62, 0.22, 0.98, 1.6], np.float32)
    facet = np.clip(np.searchsorted(edges, slope) - 1, 0, len(edges) - 2)
    facet_slope = ((edges[:-1] + edges[1:]) / 2)[facet]
    slope = slope * (1 - banana.facets * 0.8) + facet_slope * banana.facets * 0.8
    lx, ly = math.cos(banana.light_angle), math.sin(banana.light_angle)
    flatness, height = math.cos(banana.light_height), math.sin(banana.light_height)
    toward = lx * np.cos(outward) + ly * np.sin(outward)
    diffuse = np.clip(np.sin(slope) * toward * flatness + np.cos(slope) * height, 0, 1)
    brightness = banana.ambient + (1 - banana.ambient) * diffuse
    brightness *= 1 - 0.28 * u**4
    ridges = np.exp(-(((np.arcsin(u)[..., None] - edges[1:-1]) / 0.07) ** 2)).sum(axis=-1)
    shaded: FloatArray = (brightness * (1 - banana.ridge * 0.5 * ridges)).astype(np.float32)
    return shaded


def _color_of_brightness(brightness: FloatArray, banana: Banana) -> FloatArray:
    """Return colors interpolated between shadow, body and highlight."""
    stops = (0.2, 0.72, 1.0)
    colors = np.array([banana.shadow, banana.body, banana.highlight])
    channels = [np.interp(brightness, stops, colors[:, channel]) for channel in range(3)]
    return rgb(np.stack(channels, axis=-1))


def _texture(seed: int, t: FloatArray, u: FloatArray) -> FloatArray:
    """Return factors around 1 that draw faint streaks along the skin."""
    grid = np.random.default_rng(seed).standard_normal((48, 16), dtype=np.float32)
    streaks = (grid + np.roll(grid, 1, 0) + np.roll(grid, 2, 0) + np.roll(grid, 1, 1)) / 2
    streak = streaks[(t * 47).astype(np.intp), ((u + 1) * 7.5).astype(np.intp)]
    return np.asarray(1 + 0.022 * streak, np.float32)


def _draw_sticker(
    center: tuple[float, float], thickness: float, color: FloatArray, t: FloatArray, u: FloatArray
) -> FloatArray:
    """Return the color with a sticker, centered on (t, u), drawn over it."""
    along, across = (t - center[0]) / 0.045, (u - center[1]) * thickness / 0.05
    radius = np.hypot(along, across)
    color = blend(color, rgb((0.95, 0.95, 0.92)), smooth_step(1.05, 0.95, radius))
    return blend(color, rgb((0.8, 0.12, 0.1)), smooth_step(0.8, 0.7, radius) * (np.abs(across) > 0.25))
