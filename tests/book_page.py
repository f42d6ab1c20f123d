"""Code blocks of docs/book.md: run in one namespace, their output compared with the page or written to it.

    python tests/book_page.py --write

A ```python block and the ```text block after it are code and output, like a notebook's cell. doctest is not used: it
takes the closing fence for output, and its prompts cannot be copied.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["PAGE", "Block", "blocks_of", "run", "with_outputs"]

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "book.md"

_PAIR = re.compile(r"^```python\n(?P<code>.*?)^```$(?:\n\n```text\n(?P<output>.*?)^```$)?", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A code block: its first line on the page, its code and the output that the page shows."""

    line: int
    code: str
    output: str


def blocks_of(page: str) -> list[Block]:
    """Return the blocks of a page, in order."""
    return [
        Block(page.count("\n", 0, pair.start("code")) + 1, pair["code"], pair["output"] or "")
        for pair in _PAIR.finditer(page)
    ]


def run(block: Block, namespace: dict[str, Any], page: Path = PAGE) -> str:
    """Run a block and return its output; tracebacks have the page's file name and line."""
    code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, namespace)
    return "\n".join(line.rstrip() for line in [*printed.getvalue().splitlines(), ""])


def with_outputs(page: str, outputs: list[str]) -> str:
    """Return the page with its outputs replaced, one for each block."""
    remaining = iter(outputs)

    def replace(pair: re.Match[str]) -> str:
        output = next(remaining)
        return f"```python\n{pair['code']}```" + (f"\n\n```text\n{output}```" if output else "")

    return _PAIR.sub(replace, page)


if __name__ == "__main__":
    text, names = PAGE.read_text(encoding="utf-8"), {"__name__": "book"}
    new = with_outputs(text, [run(block, names) for block in blocks_of(text)])
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(new, encoding="utf-8")
    print(f"{PAGE.name}: {'output is up to date' if new == text else 'output differs'}")
