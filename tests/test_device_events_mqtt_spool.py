"""The queue of messages on disk."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from processes import run_python, start_python

from device_apps.events.mqtt.spool import Message, Spool, default_spool_path
from edge_ssd.errors import EdgeSSDError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spool.sqlite"


def spool_at(path: Path, messages: int = 0, *, max_messages: int = 100, max_bytes: int = 10_000) -> Spool:
    """Open a spool, and add messages "0", "1", … of one object."""
    spool = Spool(path, max_messages=max_messages, max_bytes=max_bytes)
    for number in range(messages):
        spool.add("o", b"%d" % number)
    return spool


def payloads(spool: Spool) -> list[bytes]:
    return [message.payload for message in spool.after(0, 10**6)]


def test_spool_returns_messages_first_in_first_out(tmp_path: Path) -> None:
    spool = spool_at(tmp_path / "new" / "spool.sqlite")
    for number in range(5):
        spool.add(f"o{number % 2}", b"%d" % number)
    assert spool.after(0, 2) == [Message(1, "o0", b"0"), Message(2, "o1", b"1")]
    assert [message.id for message in spool.after(2, 10)] == [3, 4, 5]
    spool.remove([1, 3, 99])
    assert [message.id for message in spool.after(0, 10)] == [2, 4, 5]
    assert (len(spool), spool.dropped) == (3, 0)
    spool.close()


def test_spool_keeps_messages_when_reopened(path: Path) -> None:
    spool = spool_at(path, 4)
    spool.remove([1, 2])
    spool.close()
    spool = spool_at(path)
    assert payloads(spool) == [b"2", b"3"]
    spool.add("o", b"4")
    assert [message.id for message in spool.after(0, 9)] == [3, 4, 5]
    spool.close()


def test_spool_drops_the_oldest_above_max_messages(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = spool_at(path, 10, max_messages=3)
    assert caplog.messages == [f"{path}: is full; from now on the oldest messages are dropped"]
    assert payloads(spool) == [b"7", b"8", b"9"]
    assert (len(spool), spool.dropped) == (3, 7)
    spool.close()
    smaller = spool_at(path, max_messages=2)
    assert (payloads(smaller), smaller.dropped) == ([b"8", b"9"], 1)
    smaller.close()


def test_spool_drops_the_oldest_above_max_bytes(path: Path) -> None:
    spool = spool_at(path, max_bytes=1000)
    for number in range(10):
        spool.add("o", b"%d" % number * 300)
    assert [message.payload[:1] for message in spool.after(0, 99)] == [b"7", b"8", b"9"]
    spool.add("o", b"x" * 2000)
    assert (len(spool), spool.dropped) == (0, 11)
    spool.close()


def test_spool_file_does_not_grow_with_removed_messages(tmp_path: Path, path: Path) -> None:
    spool = spool_at(path, max_messages=1000)
    for number in range(3000):
        spool.add("o", b"x" * 500)
        spool.remove([number + 1])
    spool.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 100_000


def test_spool_is_thread_safe(path: Path) -> None:
    spool = spool_at(path, max_messages=10_000, max_bytes=10**6)
    seen: list[bytes] = []

    def take() -> None:
        while len(seen) < 300:
            messages = spool.after(0, 7)
            seen.extend(message.payload for message in messages)
            spool.remove([message.id for message in messages])

    thread = threading.Thread(target=take)
    thread.start()
    for number in range(300):
        spool.add("o", b"%d" % number)
    thread.join(60)
    assert seen == [b"%d" % number for number in range(300)]
    assert len(spool) == 0
    spool.close()


def test_spool_refuses_a_second_process(path: Path) -> None:
    spool = spool_at(path, 1)
    with pytest.raises(EdgeSSDError, match="another edge-ssd uses this spool; end it, or name another file"):
        spool_at(path)
    spool.close()
    spool_at(path).close()


@pytest.mark.parametrize("content", [b"this is text and not a database" * 50, None])
def test_spool_renames_a_damaged_file(path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None) -> None:
    if content is None:
        spool = spool_at(path, max_messages=1000, max_bytes=10**6)
        for _ in range(300):
            spool.add("o", b"x" * 200)
        spool.close()
        data = bytearray(path.read_bytes())
        data[4096 : 4096 * 4] = b"\xff" * 4096 * 3
        content = bytes(data)
    path.write_bytes(content)
    spool = spool_at(path, 1)
    assert len(spool) == 1
    spool.close()
    (line,) = caplog.messages
    assert line.startswith(f"{path}: is damaged (")
    assert line.endswith("renamed to spool.sqlite.damaged, starting an empty one")
    assert path.with_name("spool.sqlite.damaged").read_bytes() == content


def test_spool_opens_an_existing_file_on_a_full_disk(path: Path) -> None:
    """RLIMIT_FSIZE simulates the full disk."""
    spool_at(path, 3).close()
    script = """
import logging, resource, sys
from pathlib import Path
from device_apps.events.mqtt.spool import Spool
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
logging.basicConfig(stream=sys.stderr, format="%(message)s")
spool = Spool(Path(sys.argv[1]), max_messages=100, max_bytes=10**6)
spool.add("o", b"3")
spool.remove([1])
sys.stdout.write(repr([message.payload for message in spool.after(0, 9)]))
"""
    done = run_python("-c", script, path, check=True)
    assert done.stdout == "[b'1', b'2', b'3']"
    assert len(done.stderr.splitlines()) == 1


def test_spool_refuses_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "spool.sqlite", tmp_path):
        with pytest.raises(EdgeSSDError, match=r"cannot keep messages here: .*; name another file with --mqtt-spool"):
            spool_at(path)


def test_spool_keeps_messages_of_a_killed_process(path: Path) -> None:
    script = """
import sys
from pathlib import Path
from device_apps.events.mqtt.spool import Spool
spool = Spool(Path(sys.argv[1]), max_messages=10**6, max_bytes=10**9)
number = 0
while True:
    spool.add("o", b"%d" % number)
    print(number, flush=True)
    number += 1
"""
    for _ in range(3):
        process = start_python("-c", script, path, stderr=None)
        for _ in range(200):
            last = int(process.stdout.readline())
        process.kill()
        process.wait()
        process.stdout.close()
        spool = spool_at(path, max_messages=10**6, max_bytes=10**9)
        numbers = [int(payload) for payload in payloads(spool)]
        assert numbers[: last + 1] == list(range(last + 1))
        spool.remove([message.id for message in spool.after(0, 10**6)])
        spool.close()
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_default_spool_path_differs_by_broker_and_is_writable_for_a_service(tmp_path: Path) -> None:
    environment = {"XDG_STATE_HOME": str(tmp_path)}
    assert default_spool_path("mqtt://a:1883/x", environment).parent == tmp_path / "edge-ssd"
    assert default_spool_path("mqtt://a:1883/x", environment) != default_spool_path("mqtt://a:1883/y", environment)
    environment["STATE_DIRECTORY"] = "/var/lib/edge-ssd:/var/lib/other"
    assert default_spool_path("mqtt://a:1883/x", environment).parent == Path("/var/lib/edge-ssd")
