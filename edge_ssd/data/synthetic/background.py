"""Backgrounds drawn from noise: landscapes, skies, foliage, wood, fabric, towns, blurred lights, plain surfaces."""

from __future__ import annotations

import math

import numpy as np

from edge_ssd.boxes import FloatArray
from edge_ssd.data.synthetic.canvas import (
    Range,
    blend,
    coordinates,
    noise,
    random_color,
    random_color_between,
    rgb,
    to_bytes,
)
from edge_ssd.data.synthetic.distractors import add_distractors

__all__ = ["draw_background"]

# Ranges of hue, saturation and value, from the top of a sky to the horizon.
_SKIES: dict[str, list[tuple[Range, Range, Range]]] = {
    "day": [((195, 225), (0.3, 0.9), (0.6, 1)), ((185, 225), (0.05, 0.4), (0.8, 1))],
    "dusk": [(hue, (0.3, 0.9), (0.4, 1)) for hue in ((220, 300), (300, 370), (10, 50))],
    "night": [((190, 300), (0.3, 1), (0.02, 0.3)), ((170, 330), (0.3, 0.9), (0.1, 0.5))],
}


def draw_background(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    """Return a random background, float32 [height, width, 3] RGB in 0–1."""
    painters = (_landscape, _sky, _foliage, _wood, _fabric, _town, _lights, _surface, _shapes)
    probabilities = (0.24, 0.14, 0.12, 0.1, 0.07, 0.08, 0.09, 0.08, 0.08)
    image = painters[int(rng.choice(len(painters), p=probabilities))](rng, height, width)
    image = add_distractors(rng, image)
    # As in a photograph: exposure, a slight color cast, vignetting, grain.
    image = image * rng.uniform(0.75, 1.15) * np.float32(rng.uniform(0.94, 1.06, 3))
    ys, xs = coordinates(height, width)
    squared_distance = (xs - 0.5) ** 2 + (ys - 0.5) ** 2
    image = image * (1 - np.float32(rng.uniform(0, 0.5)) * squared_distance)[..., None]
    image = image + np.float32(rng.uniform(0, 0.02)) * rng.standard_normal((height, width, 1), dtype=np.float32)
    return np.clip(image, 0, 1).astype(np.float32)


def _gradient(rng: np.random.Generator, height: int, width: int, colors: list[FloatArray]) -> FloatArray:
    """Return a vertical gradient of at least one color, from top to bottom."""
    ys, _ = coordinates(height, width)
    stops = np.linspace(0, 1, len(colors)) ** rng.uniform(0.7, 1.5)
    rows = np.stack([np.interp(ys[:, 0], stops, [color[i] for color in colors]) for i in range(3)], axis=-1)
    return np.repeat(rows[:, None, :], width, axis=1).astype(np.float32)


def _sky(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    """Return a clear or cloudy sky, by day, at dusk, or at night with stars."""
    daytime = str(rng.choice(list(_SKIES)))
    first = int(rng.integers(0, 2)) if daytime == "dusk" else 0
    colors = [random_color_between(rng, *ranges) for ranges in _SKIES[daytime][first:]]
    image = _gradient(rng, height, width, colors)
    clouds = noise(rng, height, width, width / rng.uniform(1.5, 5), 6, stretch=rng.uniform(1, 4), gain=0.55)
    threshold = rng.uniform(0.3, 0.75)
    alpha = np.clip((clouds - threshold) / 0.35, 0, 1) * np.float32(rng.uniform(0.3, 1))
    tint = random_color(rng) if daytime == "night" else np.full(3, rng.uniform(0.7, 1), np.float32)
    image = blend(image, np.float32(0.35) * image + np.float32(0.65) * tint, alpha)
    if daytime == "night":
        stars = rng.random((height, width), dtype=np.float32)
        brightness = rng.random((height, width), dtype=np.float32)
        image = rgb(image + np.where(stars > rng.uniform(0.985, 0.999), brightness, 0)[..., None])
    if daytime == "dusk" and rng.random() < 0.5:
        ys, xs = coordinates(height, width)
        sun_distance = (xs - rng.random()) ** 2 + (ys - rng.uniform(0.4, 0.8)) ** 2
        image = rgb(image + np.exp(-sun_distance / rng.uniform(0.001, 0.02))[..., None] * rgb((1, 0.85, 0.4)))
    return np.clip(image, 0, 1)


def _landscape(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    """Return a sky, two to five ridges that get darker and coarser towards the viewer, and sometimes water."""
    image = _sky(rng, height, width)
    ys, _ = coordinates(height, width)
    haze = image[height // 2].mean(axis=0)
    near = random_color_between(rng, (20, 160), (0.2, 0.9), (0.08, 0.6))
    layers = int(rng.integers(2, 6))
    horizon = rng.uniform(0.3, 0.7)
    for layer in range(layers):
        depth = (layer + 1) / layers
        profile = noise(rng, 1, width, width / rng.uniform(1.5, 5), 6, gain=rng.uniform(0.35, 0.6))[0]
        line = horizon + (1 - horizon) * (depth - 1 / layers) * 0.9 - profile * rng.uniform(0.05, 0.35) * (1.2 - depth)
        alpha = np.clip((ys - line[None, :]) * height, 0, 1)
        grain = noise(rng, height, width, rng.uniform(6, 30) * (0.5 + depth), 5, stretch=rng.uniform(1, 3), gain=0.7)
        color = haze + (near - haze) * np.float32(depth**0.7)
        ground = color * (0.55 + 0.9 * grain[..., None])
        image = blend(image, ground.astype(np.float32), alpha)
        near = np.clip(near * rng.uniform(0.8, 1.2, 3), 0, 1).astype(np.float32)
    if rng.random() < 0.3:
        shore = rng.uniform(0.6, 0.85)
        ripples = noise(rng, height, width, 12, 4, stretch=6, gain=0.7)
        water = image[::-1] * np.float32(0.7) * (0.6 + 0.8 * ripples[..., None])
        image = blend(image, water.astype(np.float32), np.clip((ys - shore) * height, 0, 1))
    return np.clip(image, 0, 1)


def _foliage(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    """Return leaves, grass or flowers: fine texture in shades of one hue, sometimes with spots of another color."""
    hue = rng.uniform(60, 150) if rng.random() < 0.7 else rng.uniform(0, 360)
    texture = noise(rng, height, width, rng.uniform(10, 60), 6, stretch=rng.choice([0.2, 1.0, 1.0]), gain=0.75)
    dark = random_color_between(rng, (hue, hue + 20), (0.5, 1), (0.02, 0.25))
    light = random_color_between(rng, (hue - 25, hue + 10), (0.3, 0.9), (0.5, 1))
    image = blend(dark, light, np.clip((texture - 0.5) * rng.uniform(1.2, 3) + 0.45, 0, 1))
    if rng.random() < 0.5:
        spots = noise(rng, height, width, rng.uniform(8, 24), 3)
        image = blend(image, random_color(rng), np.clip((spots - rng.uniform(0.62, 0.8)) * 12, 0, 1))
    broad = noise(rng, height, width, width / 2, 2)
    return rgb(image * (0.5 + 0.8 * broad[..., None]))


def _wood(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    """Return planks with grain, seen from above."""
    ys, xs = coordinates(height, width)
    planks = int(rng.integers(2, 8))
    position = xs * planks + 0 * ys if rng.random() < 0.5 else ys * planks + 0 * xs
    vertical = position[0, 0] == position[-1, 0]
    plank = position.astype(np.intp)
    warp = noise(rng, height, width, width / 3, 4, stretch=0.15 if vertical else 6.0)
    grain = 0.5 + 0.5 * np.sin(warp * rng.uniform(25, 70) + plank * 2.4)
    fine = noise(rng, height, width, 5, 2, stretch=0.1 if vertical else 10.0)
    tones = rng.uniform(0.75, 1.1, planks + 1).astype(np.float32)[plank]
    dark = random_color_between(rng, (12, 40), (0.25, 0.75), (0.12, 0.5))
    light = np.clip(dark * rng.uniform(1.2, 2.0), 0, 1).astype(np.float32)
    image = blend(dark, light, (0.6 * grain + 0.4 * fine).astype(np.float32)) * tones[..., None]
    gap = np.abs(position - np.rint(position)) * (width if vertical else height) / planks
    return rgb(image * np.clip(gap / 1.5, 0.25, 1)[..., None])


def _fabric(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    """Return rotated stripes or checks in two or three colors, with folds."""
    ys, xs = coordinates(height, width)
    angle = rng.uniform(0, math.pi)
    along, across = xs * math.cos(angle) + ys * math.sin(angle), ys * math.cos(angle) - xs * math.sin(angle)
    folds = noise(rng, height, width, width / 2, 3)
    count = rng.uniform(3, 14)
    along, across = along + 0.06 * folds, across + 0.06 * folds
    contrast = rng.uniform(2, 12)
    stripes = np.clip(0.5 + contrast * np.sin(2 * math.pi * count * along), 0, 1)
    image = blend(random_color(rng), random_color(rng), stripes.astype(np.float32))
    if rng.random() < 0.6:
        checks = np.clip(0.5 + contrast * np.sin(2 * math.pi * count * across), 0, 1) * 0.6
        image = blend(image, random_color(rng), checks.astype(np.float32))
    return image * (0.55 + 0.6 * folds[..., None])


def _town(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    """Return houses with windows in front of a sky."""
    image = _sky(rng, height, width)
    tint = random_color(rng)
    for _ in range(int(rng.integers(8, 26))):
        house_width = int(width * rng.uniform(0.04, 0.18))
        left, top = int(rng.integers(-house_width // 2, width)), int(height * rng.uniform(0.25, 0.85))
        wall = np.clip(tint * rng.uniform(0.3, 1.0) + rng.normal(0, 0.06, 3), 0, 1).astype(np.float32)
        right = min(left + house_width, width)
        left = max(left, 0)
        house = np.broadcast_to(wall, (height - top, right - left, 3)).copy()
        spacing = int(rng.integers(4, 9))
        dark = wall * np.float32(0.5)
        window_color = random_color_between(rng, (35, 60), (0.2, 0.9), (0.6, 1)) if rng.random() < 0.6 else dark
        windows = rng.random((house.shape[0] // spacing + 1, house.shape[1] // spacing + 1)) < rng.uniform(0.2, 0.9)
        window = np.pad(np.ones((spacing // 2, spacing // 2)), ((1, spacing - spacing // 2 - 1),) * 2)
        house[(np.kron(windows, window) > 0)[: house.shape[0], : house.shape[1]]] = window_color
        image[top:, left:right] = house * np.linspace(1.1, 0.7, house.shape[0], dtype=np.float32)[:, None, None]
    return np.clip(image, 0, 1)


def _lights(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    """Return lights that are out of focus."""
    ys, xs = coordinates(height, width)
    image = _gradient(rng, height, width, [random_color(rng) * np.float32(0.4), random_color(rng) * np.float32(0.6)])
    aspect = height / width
    for _ in range(int(rng.integers(10, 40))):
        radius = rng.uniform(0.015, 0.1)
        distance = np.hypot(xs - rng.random(), (ys - rng.random()) * aspect)
        alpha = np.clip((radius - distance) / (radius * rng.uniform(0.05, 0.6)), 0, 1)
        image = image + alpha[..., None] * random_color(rng) * np.float32(rng.uniform(0.1, 0.6))
    return np.clip(image, 0, 1)


def _surface(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    """Return a plain surface: one color, little texture, light from one side."""
    texture = noise(rng, height, width, rng.uniform(4, 120), 4, gain=0.6)
    image = random_color(rng) * (1 + np.float32(rng.uniform(0.03, 0.4)) * (texture[..., None] - 0.5))
    ys, xs = coordinates(height, width)
    slope = rng.uniform(-0.4, 0.4) * (xs - 0.5) + rng.uniform(-0.4, 0.4) * (ys - 0.5)
    return rgb(np.clip(image * (1 + slope[..., None]), 0, 1))


def _shapes(rng: np.random.Generator, height: int, width: int) -> FloatArray:
    """Return blurred polygons of random colors."""
    from PIL import Image, ImageDraw, ImageFilter

    canvas = Image.new("RGB", (width, height), to_bytes(random_color(rng)))
    draw = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(6, 30))):
        center, radius = rng.random(2) * (width, height), rng.uniform(0.05, 0.4) * width
        angles = np.sort(rng.uniform(0, 2 * math.pi, int(rng.integers(3, 8))))
        points = [(center[0] + radius * math.cos(angle), center[1] + radius * math.sin(angle)) for angle in angles]
        draw.polygon(points, fill=to_bytes(random_color(rng)))
    canvas = canvas.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.5, 8))))
    image = np.asarray(canvas, np.float32) / 255
    return image * (0.75 + 0.5 * noise(rng, height, width, 20, 4)[..., None])
