"""Text from file names and arguments, which may have bytes that are not UTF-8."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence

__all__ = ["argument_text", "find_label", "utf8_text"]


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
