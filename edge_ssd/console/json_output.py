"""Machine-readable output of the commands."""

from __future__ import annotations

import codecs
import json
import sys
from typing import Any, TextIO

from edge_ssd.console.text import UNPRINTABLE

__all__ = ["print_json"]


def print_json(value: Any, stream: TextIO | None = None) -> None:
    """Write plain JSON types as one line to ``stream`` (None: standard output) and flush it, for readers of a pipe.

    Characters beyond ASCII are escaped unless the stream is in UTF-8; those that a terminal obeys always are.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot express.
    """
    stream = stream or sys.stdout
    is_utf8 = codecs.lookup(stream.encoding or "utf-8").name == "utf-8"
    text = json.dumps(value, ensure_ascii=not is_utf8, allow_nan=False)
    print(UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text), file=stream, flush=True)
