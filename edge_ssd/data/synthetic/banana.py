"""What a banana looks like: shape, colors, ends and specks, chosen at random within what is seen."""

from __future__ import annotations

import colorsys
import dataclasses
import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Banana", "random_banana", "random_hand"]


@dataclass(frozen=True)
class Banana:
    """The looks of one banana, size and place apart. Colours are RGB in 0–1, angles radians.

    Attributes:
        half_angle: A, how far the arc goes to either side.
        thickness: widest half-width as a share of the arc's length.
        flick: how far the stem bends away from the arc, as a share of the length.
        bulge: how much more the outer side bulges than the inner.
        stem_length: share of the length that the stem takes.
        light_angle, light_height: where the light comes from, in the picture and above it.
        shadow, body, shine, end_green, end_brown: colors.
        green, tip: how far green reaches from the ends, and how dark the tip is, 0–1.
        facets: strength of the ridges, 0 (round) to 1.
        outline, outline_width: strength and pixels of a dark rim, as in drawings and in careless cut-outs.
        specks: (t, u, size, darkness) rows.
        sticker: (t, u) of a label, or None.
        turn: rotation relative to the other bananas of a hand.
        texture_seed: of the streaks in the skin.
    """

    half_angle: float
    thickness: float
    flick: float
    bulge: float
    stem_length: float
    light_angle: float
    light_height: float
    ambient: float
    shadow: tuple[float, float, float]
    body: tuple[float, float, float]
    shine: tuple[float, float, float]
    end_green: tuple[float, float, float]
    end_brown: tuple[float, float, float]
    green: float
    tip: float
    facets: float
    ridge: float
    outline: float
    outline_width: float
    specks: tuple[tuple[float, float, float, float], ...]
    sticker: tuple[float, float] | None
    turn: float
    texture_seed: int


def random_banana(rng: np.random.Generator) -> Banana:
    """A banana of a random make: mostly as photographed, some pale, some drawn with an outline."""
    style = rng.choice(["ripe", "pale", "golden", "drawn"], p=[0.45, 0.2, 0.2, 0.15])
    drawn = style == "drawn"
    hue = {"ripe": (49, 57), "pale": (42, 50), "golden": (44, 50), "drawn": (49, 56)}[str(style)]
    degrees = rng.uniform(*hue)
    saturation = rng.uniform(0.55, 0.76) if style == "pale" else rng.uniform(0.8, 1.0)
    value = rng.uniform(0.88, 1.0)
    body = _hsv(degrees, saturation, value)
    shadow = _hsv(degrees - rng.uniform(4, 11), min(saturation + 0.12, 1.0), value * rng.uniform(0.5, 0.74))
    shine = _hsv(degrees + 3, saturation * rng.uniform(0.3, 0.75), min(value * 1.08, 1.0))
    half_angle = rng.uniform(0.42, 1.2)
    specks = tuple(
        (rng.uniform(0.1, 0.85), rng.uniform(-0.85, 0.85), rng.uniform(0.004, 0.017), rng.uniform(0.15, 0.7))
        for _ in range(rng.poisson(1.5) if rng.random() < 0.9 else rng.poisson(14))
    )
    outlined = drawn or rng.random() < 0.25
    return Banana(
        half_angle=half_angle,
        thickness=rng.uniform(0.086, 0.125),
        flick=rng.uniform(-0.02, 0.09),
        bulge=rng.uniform(0.0, 0.25),
        stem_length=rng.uniform(0.8, 1.35),
        light_angle=rng.uniform(0, 2 * math.pi),
        light_height=rng.uniform(0.55, 1.15),
        ambient=rng.uniform(0.25, 0.55),
        shadow=shadow,
        body=body,
        shine=shine,
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
        turn=0.0,
        texture_seed=int(rng.integers(2**31)),
    )


def random_hand(rng: np.random.Generator, count: int) -> tuple[Banana, ...]:
    """``count`` bananas of one make that meet at the stem."""
    first = random_banana(rng)
    hand = [first]
    for _ in range(count - 1):
        other = random_banana(rng)
        step = rng.uniform(0.22, 0.42) * rng.choice([-1, 1]) if len(hand) == 1 else math.copysign(0.3, hand[-1].turn)
        hand.append(
            dataclasses.replace(
                first,
                half_angle=first.half_angle * rng.uniform(0.85, 1.1),
                thickness=first.thickness * rng.uniform(0.9, 1.1),
                specks=other.specks,
                sticker=None,
                turn=hand[-1].turn + step,
                texture_seed=other.texture_seed,
            )
        )
    return tuple(hand)


def _hsv(degrees: float, saturation: float, value: float) -> tuple[float, float, float]:
    return colorsys.hsv_to_rgb((degrees % 360) / 360, min(max(saturation, 0), 1), min(max(value, 0), 1))
