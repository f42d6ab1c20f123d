"""A verification as one HTML file: the table, and the pictures that the two models see most differently.

Nothing is loaded from elsewhere: styles and pictures are in the file, so it can be mailed or kept with the model.
"""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from converters.verify import Verification, disagreement
from edge_ssd.errors import SettingError
from edge_ssd.evaluation.average_precision import Predictions
from edge_ssd.files import atomic_path, check_writable
from edge_ssd.runtime.bundle import Bundle
from edge_ssd.runtime.preprocess import read_image

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["check_report", "report_html", "write_report"]

_PICTURES = 8
_MAX_SIDE = 480  # pixels of a picture in the report
_COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#808000")

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem 1rem; text-align: right; border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child { text-align: left; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; margin: 1.5rem 0; }
figure { margin: 0; } img { width: 100%; height: auto; } figcaption { font-size: .875rem; color: #555; }
.pass { color: #17692b; } .fail { color: #a8071a; }
"""


def check_report(path: Path) -> None:
    """See that the report can be written, before any work; a model or picture is never mistaken for one.

    Raises :class:`SettingError` for a name that is no page's, OSError for a place that cannot be written.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"{path}: the report is a web page; give it a name that ends in .html")
    check_writable(path)


def write_report(path: Path, result: Verification, bundle: Bundle, data: str, budget: float | None) -> None:
    """Write the report to ``path``, whole or not at all."""
    text = report_html(result, bundle, data, budget)
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")


def report_html(result: Verification, bundle: Bundle, data: str, budget: float | None) -> str:
    """The report: ``data`` names the pictures, ``budget`` is the allowed loss of AP or None."""
    title = f"{bundle.name}: float and {bundle.details.quantization}"
    precision = result.float_result.precision
    rows = "\n".join(
        f"<tr><td>{html.escape(name)}</td><td>{before:.3f}</td><td>{after:.3f}</td><td>{after - before:+.4f}</td></tr>"
        for name, before, after in result.rows()
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{html.escape(title)}</h1>
<p>COCO average precision on {precision.num_images} pictures with {precision.num_objects} objects \
({html.escape(data)}). Both models were decoded by the same code.</p>
<table>
<thead><tr><th></th><th>float</th><th>{html.escape(bundle.details.quantization)}</th><th>difference</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
{_verdict(result, budget)}
<h2>Where the two differ most</h2>
<p>Detections with a score of at least {bundle.defaults.score_threshold:g}; the most different picture first.</p>
{_pairs(result, bundle)}
</body>
</html>
"""


def _verdict(result: Verification, budget: float | None) -> str:
    if budget is None:
        return ""
    kind, word = ("pass", "within") if result.within(budget) else ("fail", "past")
    return f'<p class="{kind}">{result.loss:.4f} AP lost: {word} the budget of {budget:g}.</p>'


def _pairs(result: Verification, bundle: Bundle) -> str:
    threshold = bundle.defaults.score_threshold
    pairs = list(zip(result.float_result.predictions, result.quantized_result.predictions, strict=True))
    differences = np.array([disagreement(before, after, threshold) for before, after in pairs])
    parts = []
    for i in np.argsort(-differences, kind="stable")[:_PICTURES].tolist():
        path = result.dataset.samples[i].path
        figures = "".join(
            f'<figure><img alt="{html.escape(path.name)}, {kind}" src="{_picture(path, found, bundle)}">'
            f"<figcaption>{html.escape(path.name)}, {html.escape(kind)}</figcaption></figure>"
            for kind, found in zip(("float", bundle.details.quantization), pairs[i], strict=True)
        )
        parts.append(f'<div class="pair">{figures}</div>')
    return "\n".join(parts)


def _picture(path: Path, found: Predictions, bundle: Bundle) -> str:
    """The picture with its boxes, as a ``data:`` address."""
    from PIL import Image

    image = Image.fromarray(read_image(path))
    factor = min(1.0, _MAX_SIDE / max(image.size))
    if factor < 1:
        image = image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))))
    _draw(image, found, factor, bundle)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _draw(image: Image, found: Predictions, factor: float, bundle: Bundle) -> None:
    from PIL import ImageDraw

    draw = ImageDraw.Draw(image)
    shown = found.scores >= bundle.defaults.score_threshold
    rows = zip(found.boxes_xyxy[shown], found.scores[shown].tolist(), found.class_ids[shown].tolist(), strict=True)
    for box, score, class_id in rows:
        colour = _COLOURS[class_id % len(_COLOURS)]
        x0, y0, x1, y1 = (box * factor).tolist()
        draw.rectangle((x0, y0, x1, y1), outline=colour, width=2)
        # Pillow's built-in font knows only Latin letters; another label is drawn by its number.
        label = bundle.labels[class_id]
        text = f"{label if label.isascii() else class_id} {score:.2f}"
        place = draw.textbbox((x0, max(0, y0 - 12)), text)
        draw.rectangle(place, fill=colour)
        draw.text((x0, max(0, y0 - 12)), text, fill="white")
