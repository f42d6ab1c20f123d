"""Keep TensorFlow's start-up messages off the terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import TypeVar

from edge_ssd.errors import EdgeSSDError

__all__ = ["quiet_tensorflow"]

_T = TypeVar("_T")


def quiet_tensorflow(first: Callable[[], _T] | None = None) -> _T | None:
    """Import TensorFlow without its start-up messages; call it before anything else imports it.

    ``first`` is called as soon as TensorFlow is there, with standard error held back, and its result returned: for
    what must come before TensorFlow's first operation.

    The environment variable alone does not do it: TensorFlow 2.21 logs before its logger is set up, and again when
    it looks for a GPU at the first operation. A user's own TF_CPP_MIN_LOG_LEVEL stays, and shows everything.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if "tensorflow" in sys.modules or "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return None if first is None else first()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    with _stderr_held_back():
        import tensorflow as tf

        result = None if first is None else first()
        tf.constant(0)
    return result


@contextlib.contextmanager
def _stderr_held_back() -> Iterator[None]:
    """Standard error of C++ code too goes to a file, which is shown only if there is an error."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, os.fdopen(os.dup(2), "wb") as terminal:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except EdgeSSDError:  # says by itself what there is to say
            raise
        except BaseException:
            held.seek(0)
            terminal.write(held.read())
            raise
        finally:
            os.dup2(terminal.fileno(), 2)
