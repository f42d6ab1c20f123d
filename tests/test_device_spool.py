"""The spool: a queue that outlives its process."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import REPOSITORY
from event_parts import Notices

from device_apps.events.spool import Message, Spool
from edge_ssd.errors import EdgeSSDError


def spool_at(path: Path, max_messages: int = 100, max_bytes: int = 10_000, notices: Notices | None = None) -> Spool:
    return Spool(path, max_messages=max_messages, max_bytes=max_bytes, notice=notices or Notices())


def test_first_in_first_out(tmp_path: Path) -> None:
    spool = spool_at(tmp_path / "new" / "spool.sqlite")
    for number in range(5):
        spool.add(f"o{number % 2}", b"%d" % number)
    assert spool.after(0, 2) == [Message(1, "o0", b"0"), Message(2, "o1", b"1")]
    assert [message.id for message in spool.after(2, 10)] == [3, 4, 5]
    spool.remove([1, 3, 99])
    assert [message.id for message in spool.after(0, 10)] == [2, 4, 5]
    assert (len(spool), spool.dropped) == (3, 0)
    spool.close()


def test_it_is_all_there_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    spool = spool_at(path)
    for number in range(4):
        spool.add("o", b"%d" % number)
    spool.remove([1, 2])
    spool.close()
    spool = spool_at(path)
    assert [message.payload for message in spool.after(0, 9)] == [b"2", b"3"]
    spool.add("o", b"4")
    assert [message.id for message in spool.after(0, 9)] == [3, 4, 5]
    spool.close()


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    path, notices = tmp_path / "spool.sqlite", Notices()
    spool = spool_at(path, max_messages=3, notices=notices)
    for number in range(10):
        spool.add("o", b"%d" % number)
    assert notices.lines == [f"{path}: holds as much as it may; from now on the oldest messages are dropped"]
    assert [message.payload for message in spool.after(0, 99)] == [b"7", b"8", b"9"]
    assert (len(spool), spool.dropped) == (3, 7)
    spool.close()
    smaller = spool_at(tmp_path / "spool.sqlite", max_messages=2)
    assert ([message.payload for message in smaller.after(0, 99)], smaller.dropped) == ([b"8", b"9"], 1)
    smaller.close()


def test_the_oldest_go_when_they_are_too_big(tmp_path: Path) -> None:
    spool = spool_at(tmp_path / "spool.sqlite", max_bytes=1000)
    for number in range(10):
        spool.add("o", b"%d" % number * 300)
    assert [message.payload[:1] for message in spool.after(0, 99)] == [b"7", b"8", b"9"]
    spool.add("o", b"x" * 2000)
    assert (len(spool), spool.dropped) == (0, 11)
    spool.close()


def test_the_file_does_not_grow_with_what_went_through(tmp_path: Path) -> None:
    spool = spool_at(tmp_path / "spool.sqlite", max_messages=1000)
    for number in range(3000):
        spool.add("o", b"x" * 500)
        spool.remove([number + 1])
    spool.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 100_000


def test_threads_may_share_it(tmp_path: Path) -> None:
    spool = spool_at(tmp_path / "spool.sqlite", max_messages=10_000, max_bytes=10**6)
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


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    spool = spool_at(path)
    spool.add("o", b"1")
    with pytest.raises(EdgeSSDError, match="another edge-ssd uses this spool; end it, or name another file"):
        spool_at(path)
    spool.close()
    spool_at(path).close()


@pytest.mark.parametrize("content", [b"this is no database, but a text of some length" * 50, None])
def test_a_damaged_file_is_put_aside(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "spool.sqlite"
    if content is None:
        spool = spool_at(path, max_messages=1000, max_bytes=10**6)
        for _ in range(300):
            spool.add("o", b"x" * 200)
        spool.close()
        data = bytearray(path.read_bytes())
        data[4096 : 4096 * 4] = b"\xff" * 4096 * 3
        content = bytes(data)
    path.write_bytes(content)
    notices = Notices()
    spool = spool_at(path, notices=notices)
    spool.add("o", b"1")
    assert len(spool) == 1
    spool.close()
    (line,) = notices.lines
    assert line.startswith(f"{path}: is damaged (")
    assert line.endswith("it was put aside as spool.sqlite.damaged, and an empty one begun")
    assert path.with_name("spool.sqlite.damaged").read_bytes() == content


def test_a_spool_that_is_there_opens_on_a_full_disk(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk."""
    path = tmp_path / "spool.sqlite"
    spool = spool_at(path)
    for number in range(3):
        spool.add("o", b"%d" % number)
    spool.close()
    script = """
import resource, sys
from pathlib import Path
from device_apps.events.spool import Spool
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
said = []
spool = Spool(Path(sys.argv[1]), max_messages=100, max_bytes=10**6, notice=said.append)
spool.add("o", b"3")
spool.remove([1])
sys.stdout.write(repr([message.payload for message in spool.after(0, 9)]) + str(len(said)))
"""
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[b'1', b'2', b'3']1"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "spool.sqlite", tmp_path):
        with pytest.raises(EdgeSSDError, match=r"cannot keep messages here: .*; name another file with --mqtt-spool"):
            spool_at(path)


def test_a_killed_process_loses_nothing_that_it_had_added(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from device_apps.events.spool import Spool
spool = Spool(Path(sys.argv[1]), max_messages=10**6, max_bytes=10**9, notice=print)
number = 0
while True:
    spool.add("o", b"%d" % number)
    print(number, flush=True)
    number += 1
"""
    path = tmp_path / "spool.sqlite"
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(200):
            last = int(process.stdout.readline())
        process.kill()
        process.wait()
        process.stdout.close()
        spool = spool_at(path, max_messages=10**6, max_bytes=10**9)
        found = [int(message.payload) for message in spool.after(0, 10**6)]
        assert found[: last + 1] == list(range(last + 1))
        spool.remove([message.id for message in spool.after(0, 10**6)])
        spool.close()
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)
