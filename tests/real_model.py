"""The bundle that tests with a real interpreter run on."""

from __future__ import annotations

import os
from pathlib import Path

from conftest import skip_or_fail

from edge_ssd.errors import BundleError
from edge_ssd.runtime.shipped_models import find_model


def real_model() -> Path:
    """The shipped model, or another bundle named by ``$EDGE_SSD_TEST_MODEL``; skips where neither exists."""
    if "EDGE_SSD_TEST_MODEL" in os.environ:
        return Path(os.environ["EDGE_SSD_TEST_MODEL"])
    try:
        return find_model("banana")
    except BundleError as error:
        skip_or_fail(str(error))
        raise
