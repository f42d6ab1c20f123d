"""Fonts for text in images: Pillow's own, and for letters that it lacks a font of the system.

Pillow is imported when the first text is drawn.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import ImageFont

__all__ = ["font", "font_for"]

_log = logging.getLogger(__name__)

# Where Linux, macOS and Windows keep fonts.
_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "/Library/Fonts", "C:/Windows/Fonts")
_HOME_FOLDERS = (".local/share/fonts", ".fonts", "Library/Fonts")
_SUFFIXES = (".ttf", ".otf", ".ttc")
_PREFERRED = ("dejavusans.", "notosans-regular", "notosans", "freesans", "arial", "helvetica")
_STYLES = ("bold", "italic", "oblique", "mono", "condensed", "light", "serif", "math", "black")  # Last choice.
_PLACEHOLDERS = "lastresort"  # Such a font has a sign for every script, not its letters.
_MAX_FILES = 3000
_NOT_A_CHARACTER = "\uffff"  # No font has it: it shows the font's sign for missing characters.


@lru_cache(maxsize=16)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font at ``size`` pixels, or its fixed-size bitmap font (Pillow < 10.1, or no FreeType)."""
    from PIL import ImageFont

    try:
        return ImageFont.load_default(size)
    except (ImportError, TypeError):
        return ImageFont.load_default()


def font_for(text: str, size: int) -> tuple[str, ImageFont.FreeTypeFont | ImageFont.ImageFont]:
    """Return ``text`` as it can be drawn, and its font at ``size`` pixels.

    Pillow's own font has ASCII only. For other letters a font of the system is searched that has all of them. Without
    one, a warning names them once, and question marks are drawn: every missing letter would be the same empty box.
    """
    text = unicodedata.normalize("NFC", text)
    missing = frozenset(letter for letter in text if not _has(font(size), letter))
    if not missing:
        return text, font(size)
    path = _find_font(frozenset(text))
    if path is not None and (found := _load(path, size)) is not None:
        return text, found
    _warn_once("".join(sorted(missing)))
    return "".join("?" if letter in missing else letter for letter in text), font(size)


@lru_cache(maxsize=64)
def _warn_once(letters: str) -> None:
    _log.warning(
        'no font here has "%s": question marks are drawn; sudo apt install fonts-dejavu (or fonts-noto-cjk)', letters
    )


@lru_cache(maxsize=4096)
def _has(font_: Any, letter: str) -> bool:
    """Return whether a font has a letter: it is drawn in another way than one that is missing."""
    if letter.isspace():
        return True
    try:
        return bool(_drawn(font_, letter) != _drawn(font_, _NOT_A_CHARACTER))
    except UnicodeEncodeError:  # The bitmap font has Latin-1.
        return letter.isascii() or letter.encode("latin-1", "ignore") != b""


def _drawn(font_: Any, letter: str) -> tuple[tuple[int, int], bytes]:
    mask = font_.getmask(letter)
    return mask.size, bytes(mask)


@lru_cache(maxsize=256)
def _find_font(letters: frozenset[str]) -> Path | None:
    """Return a font file of the system that has all letters, or None."""
    for path in _font_files():
        candidate = _load(path, 12)
        if candidate is not None and all(_has(candidate, letter) for letter in letters):
            return path
    return None


@lru_cache(maxsize=1)
def _font_files() -> tuple[Path, ...]:
    """Return the font files of the system, plain ones first."""

    def order(path: Path) -> tuple[int, int, str]:
        name = path.name.lower()
        preference = next((i for i, start in enumerate(_PREFERRED) if name.startswith(start)), len(_PREFERRED))
        return sum(style in name for style in _STYLES), preference, name

    return tuple(sorted(_walk(), key=order))


def _walk() -> Iterator[Path]:
    folders = [Path(folder) for folder in _FOLDERS]
    with contextlib.suppress(RuntimeError):  # There is no home folder.
        folders += [Path.home() / folder for folder in _HOME_FOLDERS]
    matplotlib = importlib.util.find_spec("matplotlib")
    if matplotlib is not None and matplotlib.origin is not None:
        folders.append(Path(matplotlib.origin).parent / "mpl-data" / "fonts")
    count = 0
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                if name.lower().endswith(_SUFFIXES) and not name.lower().startswith(_PLACEHOLDERS):
                    count += 1
                    if count > _MAX_FILES:
                        return
                    yield Path(parent, name)


@lru_cache(maxsize=16)
def _load(path: Path, size: int) -> ImageFont.FreeTypeFont | None:
    """Return a font, or None if it cannot be used: without FreeType, or with bitmaps of another size."""
    from PIL import ImageFont

    try:
        return ImageFont.truetype(str(path), size)
    except (ImportError, OSError):
        return None
