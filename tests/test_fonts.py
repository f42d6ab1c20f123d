"""Fonts of labels: letters that Pillow's own font lacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_ssd import fonts
from edge_ssd.drawing import _render_label
from edge_ssd.fonts import font, font_for


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without fonts."""
    for cached in (fonts._find_font, fonts._warn_once):
        cached.cache_clear()
    monkeypatch.setattr(fonts, "_font_files", lambda: ())


@pytest.fixture(autouse=True)
def _forget_fonts():  # type: ignore[no-untyped-def]
    yield
    fonts._find_font.cache_clear()
    _render_label.cache_clear()


def has_cyrillic() -> bool:
    return fonts._find_font(frozenset("бж")) is not None


def test_ascii_is_drawn_with_the_own_font() -> None:
    assert font_for("banana 93%", 20) == ("banana 93%", font(20))


@pytest.mark.skipif(not has_cyrillic(), reason="no font with these letters")
@pytest.mark.parametrize(("first", "second"), [("бж", "дщ"), ("ñ", "ü"), ("Äpfel", "Öpfel")])
def test_different_letters_are_drawn_differently(first: str, second: str) -> None:
    images = [_render_label(text, (0, 255, 0), 20) for text in (first, second)]
    assert images[0].shape != images[1].shape or not np.array_equal(*images)
    assert font_for(first, 20)[0] == first


def test_decomposed_accents_are_composed() -> None:
    assert font_for("n\u0303", 20)[0] in ("\u00f1", "?")


@pytest.mark.usefixtures("no_fonts")
def test_missing_letters_are_named_once_and_drawn_as_question_marks(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        assert font_for("бан 1", 20) == ("??? 1", font(20))
    assert caplog.messages == [
        'no font here has "абн": question marks are drawn; sudo apt install fonts-dejavu (or fonts-noto-cjk)'
    ]


def test_files_that_are_no_fonts_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fonts._find_font.cache_clear()
    (tmp_path / "a.ttf").write_bytes(b"no font")
    monkeypatch.setattr(fonts, "_font_files", lambda: (tmp_path / "a.ttf",))
    assert font_for("б", 20)[0] == "?"
