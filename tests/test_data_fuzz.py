"""Some damaged datasets of every label format; ``make fuzz`` reads many more."""

from __future__ import annotations

from pathlib import Path

import label_fuzz
import pytest
from label_writers import WRITERS


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_damaged_datasets_load_or_are_refused(tmp_path: Path, name: str) -> None:
    assert label_fuzz.fuzz(name, count=25, seed=0, kept=tmp_path) == 0
