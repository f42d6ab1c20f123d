"""The file of lines that is rotated at a maximum size."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_apps.events.rotating_file import RotatingFile
from edge_ssd.errors import EdgeSSDError


def rotating_file(path: Path, max_bytes: int = 10_000, backup_count: int = 2) -> RotatingFile:
    return RotatingFile(path, max_bytes, backup_count)


def test_rotating_file_appends_and_creates_folders(tmp_path: Path) -> None:
    path = tmp_path / "new" / "events.jsonl"
    for text in ("one", "two", "drei ü"):
        file = rotating_file(path)
        file.write(text)
        file.close()
    assert path.read_text(encoding="utf-8") == "one\ntwo\ndrei ü\n"


def test_rotating_file_rotates_and_deletes_the_oldest(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    file = rotating_file(path, max_bytes=20, backup_count=2)
    for number in range(9):
        file.write(f"line {number}")  # seven bytes: two fit
    file.close()
    contents = {item.name: item.read_text().split("\n")[:-1] for item in tmp_path.iterdir()}
    assert contents == {
        "events.jsonl": ["line 8"],
        "events.jsonl.1": ["line 6", "line 7"],
        "events.jsonl.2": ["line 4", "line 5"],
    }


def test_rotating_file_completes_an_interrupted_rotation(tmp_path: Path) -> None:
    """The kill came after NAME.1 became NAME.2 and before NAME became NAME.1."""
    path = tmp_path / "events.jsonl"
    for name, text in (("", "newest"), (".2", "older"), (".3", "oldest")):
        (tmp_path / f"events.jsonl{name}").write_text(f"{text}\n")
    file = rotating_file(path, max_bytes=8, backup_count=3)
    file.write("next")
    file.close()
    contents = [(tmp_path / f"events.jsonl{name}").read_text().strip() for name in ("", ".1", ".2", ".3")]
    assert contents == ["next", "newest", "older", "oldest"]


def test_rotating_file_without_backups_deletes_the_full_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    file = rotating_file(path, max_bytes=20, backup_count=0)
    for number in range(5):
        file.write(f"line {number}")
    file.close()
    assert [item.read_text() for item in tmp_path.iterdir()] == ["line 4\n"]


def test_rotating_file_writes_a_line_longer_than_max_bytes(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    file = rotating_file(path, max_bytes=5, backup_count=1)
    file.write("a long line")
    file.write("another")
    file.close()
    assert (path.read_text(), path.with_name("events.jsonl.1").read_text()) == ("another\n", "a long line\n")


def test_rotating_file_recreates_a_deleted_file(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    file = rotating_file(path)
    file.write("one")
    path.unlink()
    file.write("two")
    file.close()
    assert path.read_text() == "two\n"


@pytest.mark.parametrize("incomplete", ['{"id": "r1-2", "ki', "x" * 10_000])
@pytest.mark.parametrize("before", ["", '{"id": "r1-1"}\n', '{"id": "r1-0"}\n' * 1000])
def test_rotating_file_removes_an_incomplete_last_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, before: str, incomplete: str
) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(before + incomplete)
    file = rotating_file(path, max_bytes=10**6)
    file.write("next")
    file.close()
    assert path.read_text() == f"{before}next\n"
    assert caplog.messages == [f"{path}: removed an incomplete last line ({len(incomplete)} bytes)"]


def test_rotating_file_keeps_complete_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "events.jsonl"
    for text in ("", "one\n", "one\n\n"):
        path.write_text(text)
        rotating_file(path).close()
        assert (path.read_text(), caplog.messages) == (text, [])


def test_rotating_file_refuses_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EdgeSSDError, match=r"cannot write to this file: .*; name another one"):
        rotating_file(tmp_path / "file" / "events.jsonl")
