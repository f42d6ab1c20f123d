"""Events, snapshots and the spool while the disk is full."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from processes import run_python

SCRIPT = """
import logging, resource, sys, time
from pathlib import Path
sys.path.insert(0, "tests")
from clocks import wait_until
from event_factory import event, result
from device_apps.events.jsonl import open_json_lines
from device_apps.events.spool import Spool
from device_apps.events.snapshot_store import SnapshotStore

class ListHandler(logging.Handler):
    def emit(self, record):
        messages.append(record.getMessage())

folder, messages = Path(sys.argv[1]), []
logging.basicConfig(level=logging.INFO, handlers=[ListHandler()])
publisher = open_json_lines(str(folder / "events.jsonl"), 10**6, 1)
snapshots = SnapshotStore(folder / "snapshots", 10**6)
spool = Spool(folder / "spool.sqlite", max_messages=1000, max_bytes=10**7)

def write(number):
    publisher.publish(event(number))
    path = snapshots.path_for(event(number))
    snapshots.save(event(number, snapshot=path), result(0, number, (0, (10, 10, 30, 30))))
    spool.add("r1-1", b"%d " % number + b"x" * 3000)

def line_count():
    return len((folder / "events.jsonl").read_text().splitlines())

def snapshot_count():
    return len(list((folder / "snapshots").glob("event-*")))

for number in range(2):
    write(number)
wait_until(lambda: snapshot_count() == 2)
expected = [f"{number} ".encode() for number in range(4)]
limit = resource.getrlimit(resource.RLIMIT_FSIZE)
# The second of the next two lines is cut in the middle; a snapshot or a page of the spool does not fit at all.
resource.setrlimit(resource.RLIMIT_FSIZE, (600, limit[1]))
for number in range(2, 4):
    write(number)
wait_until(lambda: len(messages) == 3)
assert [message.payload[:2] for message in spool.after(0, 9)] == expected, "returned from memory"
spool.remove([1])
assert [message.payload[:2] for message in spool.after(0, 9)] == expected[1:]
assert line_count() == 2
resource.setrlimit(resource.RLIMIT_FSIZE, limit)
wait_until(lambda: line_count() == 4)
wait_until(lambda: snapshot_count() == 4)
spool.remove([2])
spool.close()
for output in (publisher, snapshots):
    output.close(time.monotonic() + 30)
    assert output.lost == 0
print("\\n".join(message.replace(str(folder), "") for message in sorted(messages)))
"""


def test_full_disk_is_logged_once_and_loses_nothing(tmp_path: Path) -> None:
    """RLIMIT_FSIZE simulates the full disk, as in test_device_full_disk."""
    done = run_python("-c", SCRIPT, tmp_path)
    assert done.returncode == 0, done.stderr
    messages = done.stdout.splitlines()
    assert [line.split(":")[0] for line in messages] == [
        *["/events.jsonl"] * 2,
        *["/snapshots/"] * 2,
        *["/spool.sqlite"] * 2,
    ]
    again_or_cannot = [("again" in line.split(": ")[1], "cannot" in line) for line in messages]
    assert again_or_cannot == [(True, False), (False, True)] * 3
    with sqlite3.connect(tmp_path / "spool.sqlite") as db:
        assert [row[0][:2] for row in db.execute("SELECT payload FROM messages ORDER BY id")] == [b"2 ", b"3 "]
    db.close()
    numbers = [json.loads(line)["sequence"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert numbers == [0, 1, 2, 3]
