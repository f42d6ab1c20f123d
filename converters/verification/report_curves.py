"""Precision–recall curves as inline SVG."""

from __future__ import annotations

import html

import numpy as np
import numpy.typing as npt

from edge_ssd.evaluation.matching import RECALLS

__all__ = ["curve_chart"]

_LEFT, _TOP, _SIDE = 44, 28, 240
_WIDTH, _HEIGHT = _LEFT + _SIDE + 12, _TOP + _SIDE + 42
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)

Floats = npt.NDArray[np.float64]


def curve_chart(title: str, before: Floats, after: Floats, names: tuple[str, str]) -> str:
    """One chart with the float model's curve (solid) and the converted one's (dashed) over it."""
    left, bottom = _LEFT, _TOP + _SIDE
    grid = "".join(
        f'<path d="M{left} {_y(value):.1f}H{left + _SIDE}M{_x(value):.1f} {_TOP}V{bottom}" class="grid"/>'
        f'<text x="{left - 6}" y="{_y(value) + 4:.1f}" text-anchor="end">{value:g}</text>'
        f'<text x="{_x(value):.1f}" y="{bottom + 16}" text-anchor="middle">{value:g}</text>'
        for value in _TICKS
    )
    lines = "".join(
        f'<path d="{_path(values)}" class="{kind}"/>' for values, kind in ((before, "before"), (after, "after"))
    )
    label = f"{title}: precision over recall, {names[0]} and {names[1]}"
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{html.escape(label)}">'
        f'<text x="{left}" y="16" class="title">{html.escape(title)}</text>{grid}{lines}'
        f'<text x="{left + _SIDE / 2}" y="{bottom + 34}" text-anchor="middle">recall</text>'
        f'<text x="12" y="{_TOP + _SIDE / 2}" text-anchor="middle" transform="rotate(-90 12 {_TOP + _SIDE / 2})">'
        "precision</text></svg>"
    )


def _path(precision: Floats) -> str:
    points = zip(RECALLS.tolist(), precision.tolist(), strict=True)
    return "M" + "L".join(f"{_x(recall):.1f} {_y(value):.1f}" for recall, value in points)


def _x(recall: float) -> float:
    return _LEFT + recall * _SIDE


def _y(precision: float) -> float:
    return _TOP + (1 - precision) * _SIDE
