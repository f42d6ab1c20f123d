"""Stop event that is set by signals."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from device_apps.signals import stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_sets_the_event_and_restores_the_handlers(number: int) -> None:
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with stop_on_signals() as stop:
        assert not stop.is_set()
        assert signal.getsignal(number) is not before[number]
        os.kill(os.getpid(), number)
        assert stop.is_set()
        assert {name: signal.getsignal(name) for name in before} == before, "a second Ctrl-C must end the process"
    assert {name: signal.getsignal(name) for name in before} == before


def test_handlers_are_restored_after_an_error() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(RuntimeError), stop_on_signals():
        raise RuntimeError
    assert signal.getsignal(signal.SIGINT) is before


def test_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_event_is_never_set_outside_the_main_thread() -> None:
    seen: list[bool] = []

    def run() -> None:
        with stop_on_signals() as stop:
            seen.append(stop.is_set())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [False]
