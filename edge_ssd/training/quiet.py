"""Keep TensorFlow's start-up messages off the terminal."""

from __future__ import annotations

import os

__all__ = ["quiet_tensorflow"]


def quiet_tensorflow() -> None:
    """Ask TensorFlow for errors only; call it before TensorFlow is first imported. A user's own setting stays."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
