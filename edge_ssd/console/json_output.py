"""Machine-readable output of the commands."""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

__all__ = ["print_json"]


def print_json(value: Any, stream: TextIO | None = None) -> None:
    """Write plain JSON types as one line and flush it, so that a reader of a pipe gets it at once.

    Raises:
        ValueError: a number is NaN or infinite, which JSON cannot express.
    """
    print(json.dumps(value, ensure_ascii=False, allow_nan=False), file=stream or sys.stdout, flush=True)
