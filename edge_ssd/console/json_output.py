"""Machine-readable output of the commands."""

from __future__ import annotations

import codecs
import json
import sys
from typing import Any, TextIO

__all__ = ["print_json"]


def print_json(value: Any, stream: TextIO | None = None) -> None:
    """Write plain JSON types as one line to ``stream`` (None: standard output) and flush it, for readers of a pipe.

    Characters beyond ASCII are escaped unless the stream is in UTF-8.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot express.
    """
    stream = stream or sys.stdout
    is_utf8 = codecs.lookup(stream.encoding or "utf-8").name == "utf-8"
    print(json.dumps(value, ensure_ascii=not is_utf8, allow_nan=False), file=stream, flush=True)
