"""Discs, bars, rings and the like, half of them yellow, so that color alone does not make a banana."""

from __future__ import annotations

import math

import numpy as np

from edge_ssd.boxes import FloatArray
from edge_ssd.data.synthetic.canvas import blend, coordinates, random_color, random_color_between

__all__ = ["add_distractors"]


def add_distractors(rng: np.random.Generator, image: FloatArray) -> FloatArray:
    """Up to four discs, bars, rings and the like, half of them yellow: color alone must not decide."""
    from PIL import Image, ImageDraw, ImageFilter

    height, width = image.shape[:2]
    scale = 2
    for _ in range(int(rng.choice(5, p=[0.35, 0.25, 0.2, 0.12, 0.08]))):
        yellow = rng.random() < 0.55
        color = random_color_between(rng, (40, 62), (0.5, 1), (0.7, 1)) if yellow else random_color(rng)
        mask = Image.new("L", (width * scale, height * scale), 0)
        draw = ImageDraw.Draw(mask)
        x, y = rng.random() * width * scale, rng.random() * height * scale
        half = rng.uniform(0.02, 0.13) * min(height, width) * scale
        kind = rng.choice(["disc", "ellipse", "box", "bar", "ring", "triangle", "star"])
        if kind in ("disc", "ellipse", "ring"):
            other = half * (rng.uniform(0.4, 0.9) if kind == "ellipse" else 1.0)
            draw.ellipse((x - half, y - other, x + half, y + other), fill=255)
            if kind == "ring":
                draw.ellipse((x - half * 0.6, y - half * 0.6, x + half * 0.6, y + half * 0.6), fill=0)
        else:
            turn = rng.uniform(0, 2 * math.pi)
            corners = {"box": 4, "bar": 4, "triangle": 3, "star": 10}[str(kind)]
            points = []
            for corner in range(corners):
                a = 2 * math.pi * (corner + 0.5) / corners
                reach = half * (0.45 if kind == "star" and corner % 2 else 1.0)
                px, py = reach * math.cos(a), reach * math.sin(a) * (0.25 if kind == "bar" else 1.0)
                cos, sin = math.cos(turn), math.sin(turn)
                points.append((x + px * cos - py * sin, y + px * sin + py * cos))
            draw.polygon(points, fill=255)
        mask = mask.resize((width, height), Image.Resampling.BOX).filter(
            ImageFilter.GaussianBlur(float(rng.uniform(0, 1.2)))
        )
        share = np.asarray(mask, np.float32) / 255
        ys, xs = coordinates(height, width)
        tilt = rng.uniform(-1, 1, 2)
        shade = 1 + tilt[0] * (xs - x / (width * scale)) * 4 + tilt[1] * (ys - y / (height * scale)) * 4
        image = blend(image, np.clip(color * np.clip(shade, 0.4, 1.3)[..., None], 0, 1).astype(np.float32), share)
    return image
