"""``edge-ssd camera --web`` in a process of its own, with the shipped model on a real stream."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from clocks import wait_until
from conftest import CLIP
from processes import run_python, start_python
from stream_servers import MjpegServer
from web_camera import ClipServer
from web_client import mjpeg_images, open_stream, preview_port, request, server_sent_events

from device_apps.web.access.address import Address, open_listener
from device_apps.web.access.token import TOKEN_VARIABLE
from edge_ssd import cli


@pytest.fixture(autouse=True)
def no_token_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


@contextmanager
def camera(source: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start the command; yield its process and the port of its preview."""
    process = start_python("-m", "edge_ssd", "camera", "--source", source, "--web", "0", *options, stdout=None)
    try:
        yield process, preview_port(process)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_signal_ends_the_preview_and_frees_the_port() -> None:
    with MjpegServer(fps=30) as server:
        with camera(server.url) as (process, port):
            with open_stream(port, "/stream") as image, open_stream(port, "/events") as events:
                jpegs, messages = mjpeg_images(image), server_sent_events(events)
                assert next(jpegs) != next(jpegs)
                assert next(messages)[0] == "about"
                assert request(port, "/healthz").body == b"ok\n"
                start = time.monotonic()
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0
                seconds = time.monotonic() - start
                assert list(messages)[-1][0] in ("stats", "recent", "zones", "counts"), "the event stream ends properly"
            assert seconds < 10, "two seconds on an idle machine"
            (summary,) = process.stderr.read().splitlines()
            assert re.match(r"edge-ssd: \d+ frames; ", summary), "and nothing else was logged"
        with camera(server.url, "--web", str(port)) as (_, again):
            assert again == port
            wait_until(lambda: request(port, "/healthz").status == 200)


KINDS = ("event", "recent")


def test_events_reach_viewers_at_once() -> None:
    with ClipServer(fps=15) as server, camera(server.url, "--enter-after", "0.1") as (_, port):
        with open_stream(port, "/events") as response:
            # On a busy machine the bananas may have entered before: then the list of recent events has them.
            seen = (
                data if kind == "recent" else [data] for kind, data in server_sent_events(response) if kind in KINDS
            )
            event = next(events[-1] for events in seen if events)
        assert (event["kind"], event["label"]) == ("enter", "banana")
        with open_stream(port, "/events") as response:
            recent = next(data for kind, data in server_sent_events(response) if kind == "recent")
        assert event in recent, "later subscribers get it too"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the command, which must fail, and return its error line."""
    windows = [] if "--show" in arguments else ["--headless"]
    assert cli.main(["camera", "--source", str(CLIP), "--max-frames", "1", *windows, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = [line for line in err.splitlines() if not line.startswith("INFO:")]
    assert len(lines) == 1
    return lines[0]


def test_port_in_use_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    with open_listener(Address("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert run(capfd, "--web", str(port)) == (
            f"edge-ssd: error: --web 127.0.0.1:{port}: the port is in use by another program; choose another port"
        )


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("--web 0.0.0.0:8080", "--web 0.0.0.0:8080 can be reached from other machines and needs a token: (umask 077; "),
        ("--web localhost", "--web localhost: expected [HOST:]PORT"),
        ("--web 0 --web-fps 0", "--web-fps must be a number over 0, got 0.0"),
        ("--web-token-file x", "--web-token-file has no effect without --web; add --web 8080"),
        (
            "--web 0 --web-token-file /x",
            "--web-token-file /x: cannot be read: No such file or directory; make one with ",
        ),
    ],
)
def test_invalid_options_are_refused(capfd: pytest.CaptureFixture[str], options: str, problem: str) -> None:
    assert run(capfd, *options.split()).startswith(f"edge-ssd: error: {problem}")


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_missing_extra_names_the_install_command(missing: str) -> None:
    script = f"""
import sys
from edge_ssd import cli
class Without:
    def find_spec(self, name, path, target=None):
        if name == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Without())
sys.exit(cli.main(["camera", "--source", {str(CLIP)!r}, "--web", "0"]))
"""
    done = run_python("-c", script)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f'edge-ssd: error: this command needs {missing}, which is not installed; run: pip install "edge-ssd[web]"'
    )


def test_web_opens_no_window(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["camera", "--source", str(CLIP), "--max-frames", "1", "--web", "0"]) == 0
    lines = [line for line in capfd.readouterr().err.splitlines() if not line.startswith("INFO:")]
    assert len(lines) == 2, "the preview and the summary, no message about a missing display"
    assert "--show: there is no display" in run(capfd, "--web", "0", "--show")


def test_without_web_its_modules_are_not_imported() -> None:
    script = f"""
import sys
from edge_ssd import cli
assert cli.main(["camera", "--source", {str(CLIP)!r}, "--headless", "--max-frames", "1"]) == 0
assert not {{"starlette", "uvicorn", "anyio", "asyncio"}} & set(sys.modules)
"""
    run_python("-c", script, check=True)
