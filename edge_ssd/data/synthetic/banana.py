"""Random appearance of bananas: shape, colors, ends and specks."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass, replace

import numpy as np

__all__ = ["Banana", "random_banana", "random_bunch"]

Color = tuple[float, float, float]


@dataclass(frozen=True)
class Banana:
    """Appearance of a banana, without size and position.

    Colors are RGB in 0–1, angles are in radians, lengths are relative to the arc's. (t, u) is a position on the skin,
    see :mod:`edge_ssd.data.synthetic.sprite`.
    """

    half_angle: float  # of the arc
    thickness: float  # maximum half-width
    stem_bend: float  # deviation of the stem from the arc
    bulge: float  # of the outer side, relative to the half-width
    stem_length: float  # relative to the usual one
    light_angle: float  # direction of the light in the image plane
    light_height: float  # and above it
    ambient: float  # brightness without light, 0–1
    shadow: Color
    body: Color
    highlight: Color
    end_green: Color
    end_brown: Color
    green: float  # extent of the green from the ends, 0–1
    tip: float  # darkness of the tip, 0–1
    facets: float  # 0 for a round cross-section to 1 for a pentagonal one
    ridge: float  # darkness of the edges between the facets
    outline: float  # strength of a dark outline, as of drawings and rough cut-outs
    outline_width: float  # in pixels
    specks: tuple[tuple[float, float, float, float], ...]  # (t, u, size, darkness)
    sticker: tuple[float, float] | None  # (t, u) of a label
    rotation: float  # relative to the first banana of a bunch
    texture_seed: int  # of the streaks in the skin


def random_banana(rng: np.random.Generator) -> Banana:
    """Return a random banana: ripe, pale or golden as in photographs, or drawn with an outline."""
    style = rng.choice(["ripe", "pale", "golden", "drawn"], p=[0.45, 0.2, 0.2, 0.15])
    drawn = style == "drawn"
    degrees = rng.uniform(*{"ripe": (49, 57), "pale": (42, 50), "golden": (44, 50), "drawn": (49, 56)}[str(style)])
    saturation = rng.uniform(0.55, 0.76) if style == "pale" else rng.uniform(0.8, 1.0)
    value = rng.uniform(0.88, 1.0)
    body = _hsv(degrees, saturation, value)
    shadow = _hsv(degrees - rng.uniform(4, 11), min(saturation + 0.12, 1.0), value * rng.uniform(0.5, 0.74))
    highlight = _hsv(degrees + 3, saturation * rng.uniform(0.3, 0.75), min(value * 1.08, 1.0))
    half_angle = rng.uniform(0.42, 1.2)
    specks = tuple(
        (rng.uniform(0.1, 0.85), rng.uniform(-0.85, 0.85), rng.uniform(0.004, 0.017), rng.uniform(0.15, 0.7))
        for _ in range(rng.poisson(1.5) if rng.random() < 0.9 else rng.poisson(14))
    )
    outlined = drawn or rng.random() < 0.25
    return Banana(
        half_angle=half_angle,
        thickness=rng.uniform(0.086, 0.125),
        stem_bend=rng.uniform(-0.02, 0.09),
        bulge=rng.uniform(0.0, 0.25),
        stem_length=rng.uniform(0.8, 1.35),
        light_angle=rng.uniform(0, 2 * math.pi),
        light_height=rng.uniform(0.55, 1.15),
        ambient=rng.uniform(0.25, 0.55),
        shadow=shadow,
        body=body,
        highlight=highlight,
        end_green=_hsv(rng.uniform(58, 78), rng.uniform(0.6, 0.9), rng.uniform(0.55, 0.8)),
        end_brown=_hsv(rng.uniform(22, 40), rng.uniform(0.4, 0.75), rng.uniform(0.16, 0.45)),
        green=float(max(rng.uniform(-1.0, 0.9), 0.0)),
        tip=rng.uniform(0.5, 1.0),
        facets=rng.uniform(0.75, 1.0) if drawn else rng.uniform(0.25, 0.8),
        ridge=rng.uniform(0.2, 0.6) if drawn else rng.uniform(0.0, 0.3),
        outline=rng.uniform(0.8, 1.0) if drawn else (rng.uniform(0.2, 0.7) if outlined else 0.0),
        outline_width=rng.uniform(0.9, 1.6) if drawn else rng.uniform(0.4, 0.9),
        specks=specks,
        sticker=(rng.uniform(0.35, 0.65), rng.uniform(-0.4, 0.4)) if rng.random() < 0.07 else None,
        rotation=0.0,
        texture_seed=int(rng.integers(2**31)),
    )


def random_bunch(rng: np.random.Generator, count: int) -> tuple[Banana, ...]:
    """Return one banana, or for a ``count`` of 2 two similar ones that are joined at the stem."""
    first = random_banana(rng)
    if count == 1:
        return (first,)
    other = random_banana(rng)
    second = replace(
        first,
        rotation=rng.uniform(0.22, 0.42) * rng.choice([-1, 1]),
        half_angle=first.half_angle * rng.uniform(0.85, 1.1),
        thickness=first.thickness * rng.uniform(0.9, 1.1),
        specks=other.specks,
        sticker=None,
        texture_seed=other.texture_seed,
    )
    return first, second


def _hsv(degrees: float, saturation: float, value: float) -> Color:
    return colorsys.hsv_to_rgb((degrees % 360) / 360, min(max(saturation, 0), 1), min(max(value, 0), 1))
