"""Result of a check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Level", "failed", "ok", "warning"]

Level = Literal["ok", "warning", "failure"]


@dataclass(frozen=True)
class Finding:
    """Result of the check ``name``: ``text`` is what was found, ``remedy`` what to do unless ``level`` is "ok"."""

    level: Level
    name: str
    text: str
    remedy: str = ""


def ok(name: str, text: str) -> Finding:
    """Return a finding that needs no action."""
    return Finding("ok", name, text)


def warning(name: str, text: str, remedy: str) -> Finding:
    """Return a finding for something that works slowly or in part."""
    return Finding("warning", name, text, remedy)


def failed(name: str, text: str, remedy: str) -> Finding:
    """Return a finding for something that does not work."""
    return Finding("failure", name, text, remedy)
