"""Precision–recall curves of the report."""

from __future__ import annotations

import base64
import html

import numpy as np
import numpy.typing as npt

from edge_ssd.charts import new_figure, svg
from edge_ssd.evaluation.matching import RECALLS

__all__ = ["CONVERTED_COLOR", "FLOAT_COLOR", "curve_chart"]

FLOAT_COLOR, CONVERTED_COLOR = "#1f6fb4", "#d1495b"

Floats = npt.NDArray[np.float64]


def curve_chart(title: str, before: Floats, after: Floats, names: tuple[str, str]) -> str:
    """Return an HTML image of precision over recall.

    Args:
        title: title of the chart.
        before: precision [101] of the float model, drawn solid.
        after: precision [101] of the converted model, drawn dashed over it.
        names: names of the two models.
    """
    figure = new_figure(300, 310)
    axes = figure.subplots()
    axes.plot(RECALLS, before, color=FLOAT_COLOR, linewidth=3)
    axes.plot(RECALLS, after, "--", color=CONVERTED_COLOR)
    axes.set(title=title, xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
    text = html.escape(f"{title}: precision over recall, {names[0]} and {names[1]}")
    # As an image, not inline: the ids of several inline SVG documents would collide.
    return f'<img alt="{text}" src="data:image/svg+xml;base64,{base64.b64encode(svg(figure).encode()).decode()}">'
