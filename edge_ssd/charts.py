"""Charts in one style, drawn with matplotlib, which is imported when a chart is drawn."""

from __future__ import annotations

import importlib.util
import io
import os
from typing import TYPE_CHECKING

from edge_ssd.atomic_write import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Figure

__all__ = ["BLUE", "ORANGE", "check_matplotlib", "new_figure", "save_figure", "svg"]

BLUE, ORANGE = "#1f6fb4", "#e6781e"
_DPI = 100


def check_matplotlib() -> None:
    """Raise ModuleNotFoundError if matplotlib is not installed; call it before long work that ends in a chart."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")


def new_figure(width: int, height: int) -> Figure:
    """Return an empty figure of ``width`` × ``height`` pixels; ``figure.subplots()`` adds axes."""
    # Not pyplot: a figure of its own needs no display and leaves no global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure to ``path``, in the format of its suffix, with a light grid behind the data."""
    _add_grid(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=_DPI)


def svg(figure: Figure) -> str:
    """Return a figure as the text of an SVG document, with a light grid behind the data."""
    import matplotlib

    _add_grid(figure)
    file = io.StringIO()
    # Text stays text, and the same chart gives the same bytes.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "edge-ssd"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _add_grid(figure: Figure) -> None:
    for axes in figure.axes:
        axes.grid(alpha=0.3)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
