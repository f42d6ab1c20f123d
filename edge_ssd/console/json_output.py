"""Machine-readable output of the commands."""

from __future__ import annotations

import codecs
import json
import sys
from typing import Any, TextIO

from edge_ssd.console.text import UNPRINTABLE

__all__ = ["json_text", "print_json"]


def json_text(value: Any, *, ascii_only: bool = False) -> str:
    r"""Return plain JSON types as one line, in which characters that a terminal obeys are escaped, as ``\u202e``.

    Any program that reads JSON gets the same text back, and a terminal or a log shows it in its order. See
    :data:`edge_ssd.console.text.UNPRINTABLE`.

    Args:
        ascii_only: escape all other characters beyond ASCII too.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot express.
    """
    text = json.dumps(value, ensure_ascii=ascii_only, allow_nan=False)
    return UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def print_json(value: Any, stream: TextIO | None = None) -> None:
    """Write plain JSON types as one line to ``stream`` (None: standard output) and flush it, for readers of a pipe.

    Lines of several threads are not mixed: each is a single write.

    Characters beyond ASCII are escaped unless the stream is in UTF-8; see also :func:`json_text`.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot express.
    """
    stream = stream or sys.stdout
    is_utf8 = codecs.lookup(stream.encoding or "utf-8").name == "utf-8"
    stream.write(f"{json_text(value, ascii_only=not is_utf8)}\n")
    stream.flush()
