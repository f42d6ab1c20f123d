"""docs/book.md: its code prints the output that it shows, and its images equal those that the script draws."""

from __future__ import annotations

import runpy
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from book_page import PAGE, Block, blocks_of, run, with_outputs
from conftest import REPOSITORY
from PIL import Image

pytest.importorskip("tensorflow")
pytest.importorskip("matplotlib")


def test_page_code_prints_shown_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    namespace: dict[str, Any] = {"__name__": "book"}
    blocks = blocks_of(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) >= 15
    for block in blocks:
        printed = run(block, namespace)
        assert printed == block.output, f"docs/book.md, line {block.line}; python tests/book_page.py --write updates it"


def test_page_has_only_code_and_output_blocks() -> None:
    """A fence with another language would escape the test above."""
    page = PAGE.read_text(encoding="utf-8")
    blocks = blocks_of(page)
    assert page.count("\n```") == 2 * (len(blocks) + sum(1 for block in blocks if block.output))


def test_page_images_equal_drawn_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    runpy.run_path("docs/book_figures.py")["main"](tmp_path)
    drawn = sorted(tmp_path.iterdir())
    assert [path.name for path in drawn] == ["book_detections.png", "book_losses.png"]
    for path in drawn:
        shown = REPOSITORY / "docs" / "images" / path.name
        assert shown.stat().st_size <= 60_000
        expected, actual = (np.asarray(Image.open(file).convert("RGB"), np.float32) for file in (shown, path))
        # Letters differ by half a pixel between matplotlib versions; another curve or box differs much more.
        assert expected.shape == actual.shape
        assert np.abs(expected - actual).mean() < 2


EXAMPLE = """# Title

```python
x = 1
print(x, end="\\n\\n")
```

```text
1

```

Text.

```python
y = x / 0
```
"""


def test_blocks_of_separates_code_and_output() -> None:
    blocks = blocks_of(EXAMPLE)
    assert blocks == [Block(4, 'x = 1\nprint(x, end="\\n\\n")\n', "1\n\n"), Block(16, "y = x / 0\n", "")]
    namespace: dict[str, Any] = {}
    assert run(blocks[0], namespace) == "1\n\n"
    with pytest.raises(ZeroDivisionError) as raised:
        run(blocks[1], namespace)
    assert raised.traceback[-1].lineno + 1 == 16  # of the page


def test_with_outputs_writes_output_after_code() -> None:
    assert with_outputs(EXAMPLE, ["1\n\n", ""]) == EXAMPLE
    changed = with_outputs(EXAMPLE, ["", "2\n"])
    assert [block.output for block in blocks_of(changed)] == ["", "2\n"]
