"""The queue of messages on disk."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest
from event_factory import event
from fuzzing import damaged_copy, fuzz_rounds, fuzz_seed
from processes import run_python, start_python

from device_apps.events.event_payload import event_payload, is_event_payload
from device_apps.events.spool import Message, Spool, default_spool_path
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
from device_apps.events.event_payload import event_payload, is_event_payload
from device_apps.events.spool import Spool
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
from device_apps.events.event_payload import event_payload, is_event_payload
from device_apps.events.spool import Spool
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


def damage(path: Path, *statements: str) -> None:
    """Run SQL on a closed spool, as a bad disk or another program would change it."""
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        for statement in statements:
            db.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE messages SET payload = CAST('{\"id\": 1}' AS BLOB) WHERE id = 2",
        "UPDATE messages SET payload = 'text' WHERE id = 2",
        "UPDATE messages SET payload = 17.5 WHERE id = 2",
        "UPDATE messages SET object = X'FF00' WHERE id = 2",
        "UPDATE messages SET object = CAST(X'FFFE' AS TEXT) WHERE id = 2",
        "UPDATE messages SET object = '' WHERE id = 2",
        "UPDATE messages SET id = -5 WHERE id = 2",
        "UPDATE messages SET id = 9223372036854775807 WHERE id = 2",
        "UPDATE messages SET payload = zeroblob(2000000) WHERE id = 2",
        "UPDATE checksums SET crc32 = crc32 + 1 WHERE id = 2",
    ],
)
def test_damaged_row_is_set_aside_and_the_others_are_returned(
    path: Path, caplog: pytest.LogCaptureFixture, statement: str
) -> None:
    spool_at(path, 4).close()
    damage(path, statement)
    spool = spool_at(path)
    assert payloads(spool) == [b"0", b"2", b"3"]
    assert (len(spool), spool.damaged) == (3, 1)
    (line,) = caplog.messages
    assert line.startswith(f"{path}: 1 message cannot be sent (damaged); set aside in the table set_aside")
    spool.add("o", b"4")
    spool.close()
    caplog.clear()
    again = spool_at(path)
    assert (payloads(again), again.damaged, caplog.messages) == ([b"0", b"2", b"3", b"4"], 0, [])
    again.close()
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*), min(reason) FROM set_aside").fetchone() == (1, "damaged")


def test_many_damaged_rows_are_one_line(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool_at(path, 60).close()
    damage(path, "UPDATE messages SET payload = X'00' WHERE id % 2 = 0")
    spool = spool_at(path)
    taken = []
    while messages := spool.after(0, 7):
        taken += [message.payload for message in messages]
        spool.remove([message.id for message in messages])
    assert taken == [b"%d" % number for number in range(0, 60, 2)]
    assert [line.partition(" cannot")[0] for line in caplog.messages] == [f"{path}: 30 messages"]
    spool.close()


def test_rows_without_a_checksum_are_checked_by_their_content(path: Path) -> None:
    """As an older version, or another program, writes them."""
    broken = [b"", b"{", b"[]", b"\xff", b'{"id": NaN}', b"[" * 100_000, b'{"id": "12ab-1", "kind": "enter"}']
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, object TEXT NOT NULL, payload BLOB NOT NULL)")
        db.execute("PRAGMA user_version=1")
        for payload in [event_payload(event(1)), *broken, event_payload(event(2, "leave"))]:
            db.execute("INSERT INTO messages (object, payload) VALUES ('12ab-1', ?)", (payload,))
    spool = Spool(path, max_messages=100, max_bytes=10**7, is_valid=is_event_payload)
    assert payloads(spool) == [event_payload(event(1)), event_payload(event(2, "leave"))]
    assert spool.damaged == len(broken)
    spool.close()


def test_damaged_rows_are_skipped_on_a_full_disk(path: Path) -> None:
    spool_at(path, 3).close()
    damage(path, "UPDATE messages SET payload = X'00' WHERE id = 1")
    script = """
import resource, sys
from pathlib import Path
from device_apps.events.event_payload import event_payload, is_event_payload
from device_apps.events.spool import Spool
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
spool = Spool(Path(sys.argv[1]), max_messages=100, max_bytes=10**6)
sys.stdout.write(repr([message.payload for _ in range(2) for message in spool.after(0, 9)]))
"""
    assert run_python("-c", script, path, check=True).stdout == "[b'1', b'2', b'1', b'2']"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE states (id INTEGER PRIMARY KEY, state TEXT)",
        "CREATE TABLE messages (id INTEGER PRIMARY KEY, topic TEXT)",
        "CREATE VIEW messages AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) "
        "SELECT id, 'o' AS object, X'00' AS payload FROM n",
        "PRAGMA user_version=99",
    ],
)
def test_database_of_another_program_is_renamed(path: Path, caplog: pytest.LogCaptureFixture, statement: str) -> None:
    damage(path, statement)
    content = path.read_bytes()
    spool = spool_at(path, 2)
    assert payloads(spool) == [b"0", b"1"]
    spool.close()
    (line,) = caplog.messages
    assert line.startswith(f"{path}: is not a spool (")
    assert line.endswith("; renamed to spool.sqlite.damaged, starting an empty one")
    assert path.with_name("spool.sqlite.damaged").read_bytes() == content


def test_messages_of_a_spool_with_a_foreign_trigger_are_kept(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool_at(path, 3).close()
    damage(path, "CREATE TRIGGER t AFTER DELETE ON messages BEGIN INSERT INTO messages VALUES (NULL, 'x', 'y'); END")
    spool = spool_at(path)
    assert payloads(spool) == [b"0", b"1", b"2"]
    spool.close()
    assert caplog.messages == [
        f"{path}: is not a spool (it has 't'); renamed to spool.sqlite.damaged, keeping the 3 messages that can be read"
    ]


def test_messages_beside_a_damaged_page_are_kept(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = spool_at(path, max_messages=1000, max_bytes=10**6)
    for number in range(300):
        spool.add("o", b"%03d" % number * 70)
    spool.close()
    data = bytearray(path.read_bytes())
    place = data.index(b"150" * 70)
    page = place - place % 4096
    data[page : page + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    spool = spool_at(path, max_messages=1000, max_bytes=10**6)
    numbers = [int(payload[:3]) for payload in payloads(spool)]
    assert 270 <= len(numbers) < 300
    assert {*range(100), *range(200, 300)} <= set(numbers)
    assert numbers == sorted(numbers)
    spool.close()
    assert caplog.messages[0].endswith(
        f"renamed to spool.sqlite.damaged, keeping the {len(numbers)} messages that can be read"
    )


def test_file_that_is_damaged_while_it_is_in_use_is_replaced(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool_at(path, 20).close()
    spool = spool_at(path)
    path.write_bytes(b"\xff" * path.stat().st_size)
    spool._file._db.execute("PRAGMA shrink_memory")
    spool.add("o", b"new")
    assert payloads(spool)[-1] == b"new"
    spool.close()
    again = spool_at(path)
    assert payloads(again)[-1] == b"new"
    again.close()
    assert [": is damaged (" in line for line in caplog.messages] == [True]


def test_second_damaged_file_does_not_replace_the_first(path: Path) -> None:
    for content in (b"first" * 100, b"second" * 100):
        path.write_bytes(content)
        spool_at(path).close()
    assert path.with_name("spool.sqlite.damaged").read_bytes() == b"first" * 100
    assert path.with_name("spool.sqlite.damaged-2").read_bytes() == b"second" * 100


def test_spool_refuses_a_pipe(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(EdgeSSDError, match="cannot keep messages here: it is not a file"):
        spool_at(path)


def test_message_that_is_too_large_is_dropped_and_counted(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = spool_at(path, max_bytes=10**9)
    spool.add("o", b"x" * (1 << 20) + b"x")
    spool.add("o", b"y")
    assert (payloads(spool), spool.dropped) == ([b"y"], 1)
    assert "is too large to be sent; dropped" in caplog.text
    spool.close()


def test_message_that_cannot_be_sent_is_set_aside(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = spool_at(path, 3)
    spool.set_aside(2, "the broker refuses it")
    spool.set_aside(99, "unknown")
    assert payloads(spool) == [b"0", b"2"]
    spool.close()
    assert [line.partition("; ")[0] for line in caplog.messages] == [
        f"{path}: 1 message cannot be sent (the broker refuses it)"
    ]
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT payload, reason FROM set_aside").fetchall() == [(b"1", "the broker refuses it")]


def test_damaged_spool_returns_only_what_was_added(path: Path) -> None:
    """Bytes of the file are changed at random: whatever is returned is intact, and the spool works."""
    random = np.random.default_rng(fuzz_seed())
    spool = spool_at(path, max_messages=1000, max_bytes=10**6)
    added = {}
    for number in range(1, 120):
        added[number] = event_payload(event(number))
        spool.add("12ab-1", added[number])
    spool.close()
    content = path.read_bytes()
    for _ in range(fuzz_rounds(60)):
        for leftover in path.parent.glob("spool.sqlite*"):
            leftover.unlink()
        header = random.integers(0, 3) == 0
        path.write_bytes(damaged_copy(random, content, 0, 100 if header else None))
        spool = Spool(path, max_messages=1000, max_bytes=10**6, is_valid=lambda payload: payload in added.values())
        returned = spool.after(0, 1000)
        assert all(added[message.id] == message.payload for message in returned)
        spool.add("o", b"new")
        spool.remove([message.id for message in returned])
        spool.close()
        spool = Spool(path, max_messages=1000, max_bytes=10**6)
        assert payloads(spool) == [b"new"]
        spool.close()
