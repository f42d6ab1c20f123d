"""Prometheus text format of metrics.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/ (version 0.0.4) and the naming rules of
https://prometheus.io/docs/practices/naming/: base units, counters end in ``_total``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["CONTENT_TYPE", "Metric", "format_metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Value = float | int | None
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Metric:
    """Prometheus metric family of (labels, value) samples. Values of None are omitted, and a family without values."""

    name: str
    kind: Literal["counter", "gauge", "summary"]
    help: str
    samples: list[tuple[Labels, Value]] = field(default_factory=list)


def format_metrics(metrics: Iterable[Metric]) -> str:
    """Format metrics as the text that Prometheus scrapes."""
    lines: list[str] = []
    for metric in metrics:
        samples = [(labels, value) for labels, value in metric.samples if value is not None]
        if samples:
            lines.append(f"# HELP {metric.name} {_escape(metric.help)}")
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            lines += [f"{metric.name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    pairs = [f'{name}="{_escape(value, quote=True)}"' for name, value in labels.items()]
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _escape(text: str, *, quote: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quote else text


def _number(value: float) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return repr(value)
