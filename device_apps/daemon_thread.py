"""Thread that the program does not wait for at its end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["DaemonThread"]


class DaemonThread(threading.Thread):
    """Daemon thread, which may be abandoned in a library or in a write that does not return.

    Python ends such a thread when it next needs the interpreter, while the program ends. Inside C++, as of OpenCV, that
    aborts the process: "terminate called without an active exception", status 134.

    Attributes:
        may_hang: the process must end at once while it is alive; see :func:`edge_ssd.cli.main`.
    """

    may_hang = True

    def __init__(self, target: Callable[..., None], name: str, args: tuple[Any, ...] = ()) -> None:
        super().__init__(target=target, name=name, args=args, daemon=True)
