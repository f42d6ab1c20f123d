"""Lines of JSON in files and pipes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import REPOSITORY
from event_parts import Notices, event, soon

from device_apps.events.jsonl_file import RotatedFile, open_event_lines
from edge_ssd.errors import EdgeSSDError


def rotated(path: Path, max_bytes: int = 10_000, kept: int = 2, notices: Notices | None = None) -> RotatedFile:
    return RotatedFile(path, max_bytes, kept, notices or Notices())


def test_lines_are_appended_and_folders_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "events.jsonl"
    for text in ("one", "two", "drei ü"):
        file = rotated(path)
        file.write(text)
        file.close()
    assert path.read_text(encoding="utf-8") == "one\ntwo\ndrei ü\n"


def test_a_full_file_is_put_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    file = rotated(path, max_bytes=20, kept=2)
    for number in range(9):
        file.write(f"line {number}")  # seven bytes: two fit
    file.close()
    contents = {item.name: item.read_text().split("\n")[:-1] for item in tmp_path.iterdir()}
    assert contents == {
        "events.jsonl": ["line 8"],
        "events.jsonl.1": ["line 6", "line 7"],
        "events.jsonl.2": ["line 4", "line 5"],
    }


def test_a_rotation_that_was_cut_short_is_taken_up_again(tmp_path: Path) -> None:
    """Killed after NAME.1 had become NAME.2 and before NAME had become NAME.1."""
    path = tmp_path / "events.jsonl"
    for name, text in (("", "newest"), (".2", "older"), (".3", "oldest")):
        (tmp_path / f"events.jsonl{name}").write_text(f"{text}\n")
    file = rotated(path, max_bytes=8, kept=3)
    file.write("next")
    file.close()
    contents = [(tmp_path / f"events.jsonl{name}").read_text().strip() for name in ("", ".1", ".2", ".3")]
    assert contents == ["next", "newest", "older", "oldest"]


def test_none_may_be_kept(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    file = rotated(path, max_bytes=20, kept=0)
    for number in range(5):
        file.write(f"line {number}")
    file.close()
    assert [item.read_text() for item in tmp_path.iterdir()] == ["line 4\n"]


def test_a_line_longer_than_a_file_may_be_is_written_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    file = rotated(path, max_bytes=5, kept=1)
    file.write("a long line")
    file.write("another")
    file.close()
    assert (path.read_text(), path.with_name("events.jsonl.1").read_text()) == ("another\n", "a long line\n")


def test_a_deleted_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    file = rotated(path)
    file.write("one")
    path.unlink()
    file.write("two")
    file.close()
    assert path.read_text() == "two\n"


@pytest.mark.parametrize("torn", ['{"id": "r1-2", "ki', "x" * 10_000])
@pytest.mark.parametrize("before", ["", '{"id": "r1-1"}\n', '{"id": "r1-0"}\n' * 1000])
def test_half_a_line_is_cut_off_before_the_next(tmp_path: Path, before: str, torn: str) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(before + torn)
    notices = Notices()
    file = rotated(path, max_bytes=10**6, notices=notices)
    file.write("next")
    file.close()
    assert path.read_text() == f"{before}next\n"
    assert notices.lines == [f"{path}: its last line was not finished ({len(torn)} bytes of one); it was cut off"]


def test_whole_files_are_left_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for text in ("", "one\n", "one\n\n"):
        path.write_text(text)
        notices = Notices()
        rotated(path, notices=notices).close()
        assert (path.read_text(), notices.lines) == (text, [])


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EdgeSSDError, match=r"cannot write to this file: .*; name another one"):
        rotated(tmp_path / "file" / "events.jsonl")
    with pytest.raises(EdgeSSDError, match="cannot write to this file"):
        open_event_lines(str(tmp_path), 1000, 1, Notices())


def test_events_are_written_as_json(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    lines = open_event_lines(str(path), 10_000, 1, Notices())
    for number in (1, 2):
        lines.publish(event(number, label="grüne Äpfel"))
    lines.close(time.monotonic() + 30)
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == [
        event(1, label="grüne Äpfel").to_dict(),
        event(2, label="grüne Äpfel").to_dict(),
    ]


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    lines = open_event_lines("-", 10, 1, Notices())
    lines.publish(event(1))
    lines.close(time.monotonic() + 30)
    assert json.loads(capfd.readouterr().out) == event(1).to_dict()


def test_a_device_or_pipe_is_neither_cut_nor_rotated() -> None:
    notices = Notices()
    lines = open_event_lines("/dev/full", 10, 1, notices)
    lines.publish(event(1))
    soon(lambda: notices.lines)
    assert notices.lines[0].startswith("/dev/full: cannot be written: No space left on device; detection goes on")
    lines.close(time.monotonic() + 30)
    assert lines.lost == 1


def test_a_pipe_that_nobody_reads_holds_up_neither_the_loop_nor_the_end() -> None:
    reader, writer = os.pipe()
    try:
        lines = open_event_lines(f"/dev/fd/{writer}", 10, 1, Notices())
        start = time.monotonic()
        for number in range(5000):
            lines.publish(event(number))
        assert lines.lost > 3000
        lines.close(time.monotonic() + 0.2)
        assert time.monotonic() - start < 20
    finally:
        os.close(reader)  # Lets the thread go.
        os.close(writer)
    soon(lambda: lines.failure is not None)


HEALING = """
import resource, sys, time
from pathlib import Path
sys.path.insert(0, "tests")
import numpy as np
from event_parts import Notices, event, result, soon
from device_apps.events.jsonl_file import open_event_lines
from device_apps.events.snapshots import EventPictures
from device_apps.events.spool import Spool

folder, notices = Path(sys.argv[1]), Notices()
lines = open_event_lines(str(folder / "events.jsonl"), 10**6, 1, notices)
pictures = EventPictures(folder / "pictures", 10**6, notices)
spool = Spool(folder / "spool.sqlite", max_messages=1000, max_bytes=10**7, notice=notices)

def go(number):
    lines.publish(event(number))
    path = pictures.path_for(event(number))
    pictures.save(path, result(0, number, (0, (10, 10, 30, 30))))
    spool.add("r1-1", b"%d " % number + b"x" * 3000)

for number in range(2):
    go(number)
soon(lambda: len(list((folder / "pictures").glob("event-*"))) == 2)
wanted = [f"{number} ".encode() for number in range(4)]
room = resource.getrlimit(resource.RLIMIT_FSIZE)
# The second of the next two lines is cut in the middle; a picture or a page of the spool does not fit at all.
resource.setrlimit(resource.RLIMIT_FSIZE, (600, room[1]))
for number in range(2, 4):
    go(number)
soon(lambda: len(notices.lines) == 3)
assert [message.payload[:2] for message in spool.after(0, 9)] == wanted, "given out all the same"
spool.remove([1])
assert [message.payload[:2] for message in spool.after(0, 9)] == wanted[1:]
assert len((folder / "events.jsonl").read_text().splitlines()) == 2
resource.setrlimit(resource.RLIMIT_FSIZE, room)
soon(lambda: len((folder / "events.jsonl").read_text().splitlines()) == 4)
soon(lambda: len(list((folder / "pictures").glob("event-*"))) == 4)
spool.remove([2])
spool.close()
for channel in (lines, pictures):
    channel.close(time.monotonic() + 30)
    assert channel.lost == 0
print("\\n".join(line.replace(str(folder), "") for line in sorted(notices.lines)))
"""


def test_a_full_disk_is_said_once_and_nothing_is_lost_when_it_has_room_again(tmp_path: Path) -> None:
    """A limit on the size of files stands in for the disk, as in test_device_full_disk."""
    command = [sys.executable, "-c", HEALING, str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert [line.split(":")[0] for line in said] == [
        *["/events.jsonl"] * 2,
        *["/pictures/"] * 2,
        *["/spool.sqlite"] * 2,
    ]
    assert [("again" in line.split(": ")[1], "cannot" in line) for line in said] == [(True, False), (False, True)] * 3
    import sqlite3

    with sqlite3.connect(tmp_path / "spool.sqlite") as db:
        assert [row[0][:2] for row in db.execute("SELECT payload FROM messages ORDER BY id")] == [b"2 ", b"3 "]
    db.close()
    numbers = [json.loads(line)["sequence"] for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert numbers == [0, 1, 2, 3]
