"""Some damaged responses of cameras and requests of browsers; ``make fuzz`` sends many more."""

from __future__ import annotations

import device_fuzz
import pytest


@pytest.mark.parametrize("kind", device_fuzz.KINDS)
def test_damaged_messages_are_read_or_refused(kind: str) -> None:
    device_fuzz.main(80, 0, kind)
