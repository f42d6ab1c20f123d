"""Text from elsewhere: file names and arguments, which may have bytes that are not UTF-8, and labels of files."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Sequence

from edge_ssd.console.status_line import above_status_line

__all__ = ["UNPRINTABLE", "argument_text", "find_label", "print_text", "printable", "shown_name", "utf8_text"]

# What a terminal obeys or what changes the order of the characters around it: control characters, line and paragraph
# separators, marks of the writing direction; surrogates, which cannot be encoded.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_MAX_NAME = 240  # characters


def printable(text: str, *, lines: bool = False) -> str:
    r"""Return ``text`` with control characters and the like escaped, as ``\x1b``, for terminals, logs and reports.

    The names in a model, a dataset or an answer of a server may hold sequences that a terminal obeys.

    Args:
        lines: keep line feeds.
    """
    if text.isascii() and text.isprintable():
        return text
    text = utf8_text(text)
    return UNPRINTABLE.sub(lambda match: "\n" if lines and match[0] == "\n" else _escape(match[0]), text)


def shown_name(name: str | os.PathLike[str]) -> str:
    """Return the name of a file for a message: printable, without its middle if it is very long, and '' if empty."""
    text = printable(os.fsdecode(name)) or "''"
    return text if len(text) <= _MAX_NAME else f"{text[: _MAX_NAME // 2]}...{text[-_MAX_NAME // 2 :]}"


def print_text(text: str, end: str = "\n", flush: bool = False) -> None:
    """Print the lines of ``text``, which may hold names from files, on standard output; see :func:`printable`."""
    with above_status_line(sys.stdout):
        print(printable(text, lines=True), end=end, flush=flush)


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def utf8_text(text: str) -> str:
    r"""Return ``text`` for JSON, messages and titles: bytes that are not UTF-8 are written as ``\xe4``.

    Python keeps such bytes of a file name as surrogates, which cannot be encoded.
    """
    try:
        return os.fsencode(text).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # A surrogate that stands for no byte, or a character that file names cannot have here.
        return text.encode("utf-8", "backslashreplace").decode()


def argument_text(text: str) -> str:
    """Return an argument of the command line that is text, not a file, in normalization form C.

    With a locale such as C, Python does not decode the UTF-8 of a terminal.
    """
    return unicodedata.normalize("NFC", utf8_text(text))


def find_label(name: str, labels: Sequence[str]) -> str | None:
    """Return the label that is ``name``, or the same text in another form: with é as one character or as two."""
    if name in labels:
        return name
    text = argument_text(name)
    return next((label for label in labels if unicodedata.normalize("NFC", label) == text), None)
