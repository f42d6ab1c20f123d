"""QR codes of links (ISO/IEC 18004), for a page and for a terminal, by segno."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from segno import QRCode

__all__ = ["INSTALL_HINT", "svg_data_uri", "terminal_text"]

INSTALL_HINT = 'for a QR code: pip install "edge-ssd[web]"'
"""What to do where segno is not installed."""

_QUIET_ZONE = 4  # In modules on each side, as the standard requires.
# White on black, whatever the colors of the terminal: scanners expect dark modules on a light ground.
_WHITE_ON_BLACK, _RESET = "\x1b[97;40m", "\x1b[0m"


def svg_data_uri(text: str) -> str | None:
    """Return a QR code of ``text`` as an SVG in a ``data:`` URI, black on white; None without segno."""
    code = _make(text)
    return None if code is None else str(code.svg_data_uri(border=_QUIET_ZONE, light="#fff", omitsize=True))


def terminal_text(text: str, terminal: TextIO) -> str | None:
    """Return a QR code of ``text`` as lines of half blocks with ANSI colors.

    Returns None without segno, "" if the code is wider than the terminal or its encoding lacks the half blocks.
    """
    code = _make(text)
    if code is None:
        return None
    drawn = io.StringIO()
    code.terminal(drawn, border=_QUIET_ZONE, compact=True)
    lines = drawn.getvalue().splitlines()
    try:
        drawn.getvalue().encode(terminal.encoding or "ascii")
        columns = os.get_terminal_size(terminal.fileno()).columns
    except (OSError, ValueError):
        return ""
    if 0 < columns < len(lines[0]):  # Some terminals do not know their size.
        return ""
    return "".join(f"{_WHITE_ON_BLACK}{line}{_RESET}\n" for line in lines)


def _make(text: str) -> QRCode | None:
    try:
        import segno
    except ImportError:
        return None
    return segno.make_qr(text, error="L")  # The smallest code: a screen has no dirt.
