"""The code on docs/book.md: run in order in one namespace, and what it prints compared with, or written to, the page.

    python tests/book_page.py --write

A ```python block and the ```text block after it are the code and its output, as a notebook's cell shows them. (The
standard library's doctest would take the closing fence for output, and its prompts spoil copying.)
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
    """One block of code: the line of the page on which it begins, and the output that the page shows."""

    line: int
    code: str
    output: str


def blocks_of(page: str) -> list[Block]:
    """The blocks of a page, in order."""
    return [
        Block(page.count("\n", 0, pair.start("code")) + 1, pair["code"], pair["output"] or "")
        for pair in _PAIR.finditer(page)
    ]


def run(block: Block, namespace: dict[str, Any]) -> str:
    """Run one block and return what it printed; a traceback names the page and the line on it."""
    code = compile("\n" * (block.line - 1) + block.code, str(PAGE), "exec")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, namespace)
    return "\n".join(line.rstrip() for line in [*printed.getvalue().splitlines(), ""])


def with_outputs(page: str, outputs: list[str]) -> str:
    """The page with other outputs, one for each block."""
    waiting = iter(outputs)

    def replaced(pair: re.Match[str]) -> str:
        output = next(waiting)
        return f"```python\n{pair['code']}```" + (f"\n\n```text\n{output}```" if output else "")

    return _PAIR.sub(replaced, page)


if __name__ == "__main__":
    text, names = PAGE.read_text(encoding="utf-8"), {"__name__": "book"}
    new = with_outputs(text, [run(block, names) for block in blocks_of(text)])
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(new, encoding="utf-8")
    print(f"{PAGE.name}: {'as it prints' if new == text else 'other output than it shows'}")
