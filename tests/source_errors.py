"""Check of sources that cannot be entered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edge_ssd.errors import SourceError


def assert_enter_fails(match: str, make_source: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """Make and enter a source, which must raise a SourceError that matches; return its message."""
    with pytest.raises(SourceError, match=match) as caught, make_source(*arguments, **options):
        pytest.fail("entered")
    return str(caught.value)
