"""The window, on an X server of its own. Needs the programs Xvfb and xdotool."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import skip_or_fail
from processes import FAKE, run_python, start_python
from stream_servers import MjpegServer


def environment(display: str | None) -> dict[str, str]:
    return dict(os.environ) if display is None else {**os.environ, "DISPLAY": display}


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            skip_or_fail(f"{program} is not installed: apt-get install xvfb xdotool")
    read, write = os.pipe()
    # Without -noreset the server resets when its last client disconnects, and drops a client that just connects.
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as pipe:
        number = pipe.readline().strip()
    assert number, "Xvfb did not start"
    yield f":{number}"
    server.terminate()
    server.wait(10)


def window_of(display: str, process: subprocess.Popen[str]) -> str:
    """Wait for the window and return its id."""
    for _ in range(200):
        assert process.poll() is None, process.communicate()[1]
        windows = subprocess.run(
            ["xdotool", "search", "--onlyvisible", "--name", "^edge-ssd: "],
            env=environment(display),
            capture_output=True,
            text=True,
            check=False,
        ).stdout.split()
        if windows:
            return windows[-1]
        time.sleep(0.05)
    raise AssertionError("no window")


def press(display: str, window: str, key: str) -> None:
    command = ["xdotool", "key", "--window", window, key]
    subprocess.run(command, env=environment(display), stderr=subprocess.DEVNULL, check=False, timeout=10)


def close(display: str, window: str) -> None:
    """Send the message that a window manager sends for the close button (ICCCM §4.2.8.1)."""

    class ClientMessage(ctypes.Structure):
        _fields_ = [
            ("type", ctypes.c_int),
            ("serial", ctypes.c_ulong),
            ("send_event", ctypes.c_int),
            ("display", ctypes.c_void_p),
            ("window", ctypes.c_ulong),
            ("message_type", ctypes.c_ulong),
            ("format", ctypes.c_int),
            ("data", ctypes.c_long * 5),
            ("room", ctypes.c_long * 24),
        ]

    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XInternAtom.restype = ctypes.c_ulong
    server = ctypes.c_void_p(x11.XOpenDisplay(display.encode()))
    protocols = x11.XInternAtom(server, b"WM_PROTOCOLS", 0)
    delete = x11.XInternAtom(server, b"WM_DELETE_WINDOW", 0)
    data = (ctypes.c_long * 5)(delete, 0, 0, 0, 0)
    message = ClientMessage(type=33, window=int(window), message_type=protocols, format=32, data=data)
    assert x11.XSendEvent(server, ctypes.c_ulong(int(window)), 0, ctypes.c_long(0), ctypes.byref(message))
    x11.XCloseDisplay(server)


@pytest.mark.parametrize("how", ["q", "Escape", "close", "stalled q"])
def test_window_shows_the_stream_until_it_is_closed(display: str, tmp_path: Path, how: str) -> None:
    video = tmp_path / "seen.mp4"
    with MjpegServer(fps=30) as server:
        options = ("--source", server.url, "--show", "--save-video", video)
        process = start_python(FAKE, "camera", *options, stdout=None, env=environment(display))
        window = window_of(display, process)
        time.sleep(0.3)
        if how == "stalled q":  # The window must respond while no frame comes.
            server.paused.set()
            time.sleep(0.3)
        if how == "close":
            close(display, window)
        else:
            press(display, window, how.split()[-1])
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 0, errors
    assert errors.startswith("edge-ssd: ")
    assert errors.count("\n") == 1, errors
    assert " frames; " in errors
    assert [path.name for path in tmp_path.iterdir()] == ["seen.mp4"]


def test_window_opens_by_default_with_a_display(display: str, shared_data: Path) -> None:
    source = shared_data / "photos" / "d2l_banana.jpg"
    done = run_python(FAKE, "camera", "--source", source, env=environment(display))
    assert done.returncode == 0
    assert done.stderr.startswith("edge-ssd: 1 frame")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("display_name", [None, ":4077"])
def test_camera_runs_headless_without_a_display(shared_data: Path, display_name: str | None) -> None:
    done = run_python(FAKE, "camera", "--source", shared_data / "photos", env=environment(display_name))
    assert done.returncode == 0, done.stderr
    message, summary = done.stderr.splitlines()
    assert message.startswith("edge-ssd: no window: ")
    assert message.endswith("; running headless (Ctrl-C ends it)")
    assert "2 frames" in summary


@pytest.mark.parametrize("display_name", [None, ":4077"])
def test_show_without_a_display_is_an_error(shared_data: Path, display_name: str | None) -> None:
    done = run_python(FAKE, "camera", "--source", shared_data / "photos", "--show", env=environment(display_name))
    assert done.returncode == 2
    assert done.stderr.startswith("edge-ssd: error: --show: ")
    assert done.stderr.count("\n") == 1
    assert "use --headless" in done.stderr or "with --headless" in done.stderr
