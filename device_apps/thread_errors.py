"""Errors of threads, which end the program instead of the thread alone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from edge_ssd.errors import EdgeSSDError

__all__ = ["stop_on_thread_errors"]


@contextlib.contextmanager
def stop_on_thread_errors(stop: threading.Event) -> Iterator[None]:
    """Set ``stop`` when an exception ends a thread, and raise EdgeSSDError with its reason on exit.

    Without it the program would run on without the thread: without events, without a web page. What is entered inside
    this context is closed, and written, before the error is raised. An error that is being raised takes precedence.
    """
    failed: list[tuple[str, BaseException]] = []
    previous = threading.excepthook

    def handle(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is None or issubclass(args.exc_type, SystemExit):
            previous(args)
            return
        failed.append(("a thread" if args.thread is None else args.thread.name, args.exc_value))
        stop.set()

    threading.excepthook = handle
    try:
        yield
    finally:
        threading.excepthook = previous
    if failed:
        name, error = failed[0]
        raise EdgeSSDError(f"{name}: failed: {type(error).__name__}: {error}; --debug shows where") from error
