"""Geometric distractors, about half of them yellow, so that color alone does not identify a banana."""

from __future__ import annotations

import math

import numpy as np

from edge_ssd.boxes import FloatArray
from edge_ssd.data.synthetic.canvas import blend, coordinates, random_color, random_color_between

__all__ = ["add_distractors"]


def add_distractors(rng: np.random.Generator, image: FloatArray) -> FloatArray:
    """Return an image, float32 [height, width, 3] RGB in 0–1, with up to four random shapes drawn on it."""
    from PIL import Image, ImageDraw, ImageFilter

    height, width = image.shape[:2]
    scale = 2
    for _ in range(int(rng.choice(5, p=[0.35, 0.25, 0.2, 0.12, 0.08]))):
        yellow = rng.random() < 0.55
        color = random_color_between(rng, (40, 62), (0.5, 1), (0.7, 1)) if yellow else random_color(rng)
        mask = Image.new("L", (width * scale, height * scale), 0)
        draw = ImageDraw.Draw(mask)
        x, y = rng.random() * width * scale, rng.random() * height * scale
        radius = rng.uniform(0.02, 0.13) * min(height, width) * scale
        kind = rng.choice(["disc", "ellipse", "box", "bar", "ring", "triangle", "star"])
        if kind in ("disc", "ellipse", "ring"):
            radius_y = radius * (rng.uniform(0.4, 0.9) if kind == "ellipse" else 1.0)
            draw.ellipse((x - radius, y - radius_y, x + radius, y + radius_y), fill=255)
            if kind == "ring":
                draw.ellipse((x - radius * 0.6, y - radius * 0.6, x + radius * 0.6, y + radius * 0.6), fill=0)
        else:
            rotation = rng.uniform(0, 2 * math.pi)
            cos, sin = math.cos(rotation), math.sin(rotation)
            flatness = 0.25 if kind == "bar" else 1.0
            num_corners = {"box": 4, "bar": 4, "triangle": 3, "star": 10}[str(kind)]
            points = []
            for corner in range(num_corners):
                direction = 2 * math.pi * (corner + 0.5) / num_corners
                corner_radius = radius * (0.45 if kind == "star" and corner % 2 else 1.0)
                px, py = corner_radius * math.cos(direction), corner_radius * math.sin(direction) * flatness
                points.append((x + px * cos - py * sin, y + px * sin + py * cos))
            draw.polygon(points, fill=255)
        blur = ImageFilter.GaussianBlur(float(rng.uniform(0, 1.2)))
        alpha = np.asarray(mask.resize((width, height), Image.Resampling.BOX).filter(blur), np.float32) / 255
        ys, xs = coordinates(height, width)
        slope = rng.uniform(-1, 1, 2)
        brightness = 1 + slope[0] * (xs - x / (width * scale)) * 4 + slope[1] * (ys - y / (height * scale)) * 4
        image = blend(image, np.clip(color * np.clip(brightness, 0.4, 1.3)[..., None], 0, 1).astype(np.float32), alpha)
    return image
