"""Texts of the runtime are ASCII: a log handler or terminal with Latin-1 or ASCII shows every message."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from conftest import REPOSITORY

PACKAGE = REPOSITORY / "edge_ssd"
# What `Detector` and the functions of geometry import, and so what raises and logs in a program that embeds them.
MODULES = sorted(
    [
        *(PACKAGE / "runtime").glob("*.py"),
        *(PACKAGE / "frozen").glob("*.py"),
        PACKAGE / "console" / "suggestions.py",
        PACKAGE / "console" / "text.py",
        *(
            PACKAGE / f"{name}.py"
            for name in (
                *("__init__", "anchors", "boxes", "checks", "coding", "errors", "network", "nms"),
                *("reference_detection", "reference_targets", "version"),
            )
        ),
    ]
)


def texts_of(source: str) -> list[tuple[int, str]]:
    """Return the line and value of each text in a module, without docstrings."""
    tree = ast.parse(source)
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


@pytest.mark.machine_independent
@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_messages_of_runtime_are_ascii(path: Path) -> None:
    found = [(line, text) for line, text in texts_of(path.read_text(encoding="utf-8")) if not text.isascii()]
    # Patterns of characters that terminals obey, and single surrogates that are looked for, are no messages.
    patterns = [text for _, text in found if "\ud800" in text or text == "\udfff"]
    assert not [(line, text) for line, text in found if text not in patterns]


@pytest.mark.machine_independent
def test_texts_are_found_without_docstrings() -> None:
    source = '"""é"""\n\n\ndef f(x):\n    """é"""\n    raise ValueError(f"ü {x} a" "ö")\n'
    assert texts_of(source) == [(6, "ü "), (6, " aö")]
