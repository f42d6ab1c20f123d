"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# An example that is slow on a busy machine is no failure; pytest's own timeout ends what hangs.
settings.register_profile("edge-ssd", deadline=None)
settings.load_profile("edge-ssd")

# As device_apps does before it loads OpenCV, which reads it once: here a test may load it first.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

REPOSITORY = Path(__file__).resolve().parent.parent


def skip_or_fail(reason: str) -> None:
    """Skip where a part is missing on a user's machine; in CI (``CI=true``) its absence is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must run this lane: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data sets, which are not part of the repository: ``$EDGE_SSD_DATA`` or ``../shared/data``."""
    folder = Path(os.environ.get("EDGE_SSD_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        skip_or_fail(f"no data sets at {folder}: set EDGE_SSD_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def book_vectors(shared_data: Path) -> Path:
    """Numbers computed by the book's own functions, beside the data sets."""
    path = shared_data.parent / "vectors" / "d2l_vectors.npz"
    if not path.is_file():
        skip_or_fail(f"no book vectors at {path}")
    return path


@pytest.fixture(scope="session")
def squares(tmp_path_factory) -> Path:
    """A small data set, see :mod:`small_model`. Not to be changed."""
    from small_model import write_squares

    return write_squares(tmp_path_factory.mktemp("data") / "squares")


@pytest.fixture(scope="session")
def squares_model(tmp_path_factory, squares: Path) -> Path:
    """A ``.keras`` model that has learned :func:`squares`; needs TensorFlow."""
    from small_model import train_small_model

    path = tmp_path_factory.mktemp("model") / "squares.keras"
    train_small_model(squares, path)
    return path
