"""Suppression of TensorFlow's start-up messages."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import TextIO, TypeVar

from edge_ssd.console.activity import Activity
from edge_ssd.console.status_line import StatusLine
from edge_ssd.errors import EdgeSSDError

__all__ = ["quiet_tensorflow"]

_T = TypeVar("_T")


def quiet_tensorflow(setup: Callable[[], _T] | None = None) -> _T | None:
    """Import TensorFlow without its start-up messages; call it before anything else imports TensorFlow.

    The environment variable alone is not enough: TensorFlow 2.21 logs before its logger is set up, and again when it
    looks for a GPU at the first operation. If the user has set TF_CPP_MIN_LOG_LEVEL, nothing is suppressed.

    ``setup`` is called after the import and before TensorFlow's first operation; its result is returned.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if "tensorflow" in sys.modules or "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return None if setup is None else setup()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with _captured_stderr() as terminal, Activity("loading TensorFlow", StatusLine(terminal)):
        import tensorflow as tf

        result = None if setup is None else setup()
        tf.constant(0)
    return result


@contextlib.contextmanager
def _captured_stderr() -> Iterator[TextIO]:
    """Redirect standard error, also of C++ code, to a temporary file; print it only after an unexpected exception.

    Yields:
        Standard error as it was before.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as captured, os.fdopen(os.dup(2), "w") as terminal:
        os.dup2(captured.fileno(), 2)
        try:
            yield terminal
        except EdgeSSDError:  # its message is complete
            raise
        except BaseException:
            captured.seek(0)
            terminal.write(captured.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(terminal.fileno(), 2)
