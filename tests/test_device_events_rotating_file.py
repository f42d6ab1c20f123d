"""The file of lines that is rotated at a maximum size."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from device_apps.events.rotating_file import RotatingFile
from edge_ssd.errors import EdgeSSDError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def write(path: Path, *lines: str, max_bytes: int = 10_000, backup_count: int = 2) -> None:
    """Open a rotating file, write lines and close it."""
    with closing(RotatingFile(path, max_bytes, backup_count)) as file:
        for line in lines:
            file.write(line)


def test_rotating_file_appends_and_creates_folders(tmp_path: Path) -> None:
    path = tmp_path / "new" / "events.jsonl"
    for line in ("one", "two", "drei ü"):
        write(path, line)
    assert path.read_text(encoding="utf-8") == "one\ntwo\ndrei ü\n"


def test_rotating_file_rotates_and_deletes_the_oldest(tmp_path: Path, path: Path) -> None:
    # A line has seven bytes: two fit.
    write(path, *(f"line {number}" for number in range(9)), max_bytes=20, backup_count=2)
    contents = {item.name: item.read_text().split("\n")[:-1] for item in tmp_path.iterdir()}
    assert contents == {
        "events.jsonl": ["line 8"],
        "events.jsonl.1": ["line 6", "line 7"],
        "events.jsonl.2": ["line 4", "line 5"],
    }


def test_rotating_file_completes_an_interrupted_rotation(tmp_path: Path, path: Path) -> None:
    """The kill came after NAME.1 became NAME.2 and before NAME became NAME.1."""
    for name, text in (("", "newest"), (".2", "older"), (".3", "oldest")):
        (tmp_path / f"events.jsonl{name}").write_text(f"{text}\n")
    write(path, "next", max_bytes=8, backup_count=3)
    contents = [(tmp_path / f"events.jsonl{name}").read_text().strip() for name in ("", ".1", ".2", ".3")]
    assert contents == ["next", "newest", "older", "oldest"]


def test_rotating_file_without_backups_deletes_the_full_file(tmp_path: Path, path: Path) -> None:
    write(path, *(f"line {number}" for number in range(5)), max_bytes=20, backup_count=0)
    assert [item.read_text() for item in tmp_path.iterdir()] == ["line 4\n"]


def test_rotating_file_writes_a_line_longer_than_max_bytes(path: Path) -> None:
    write(path, "a long line", "another", max_bytes=5, backup_count=1)
    assert (path.read_text(), path.with_name("events.jsonl.1").read_text()) == ("another\n", "a long line\n")


def test_rotating_file_recreates_a_deleted_file(path: Path) -> None:
    with closing(RotatingFile(path, 10_000, 2)) as file:
        file.write("one")
        path.unlink()
        file.write("two")
    assert path.read_text() == "two\n"


@pytest.mark.parametrize("incomplete", ['{"id": "r1-2", "ki', "x" * 10_000])
@pytest.mark.parametrize("before", ["", '{"id": "r1-1"}\n', '{"id": "r1-0"}\n' * 1000])
def test_rotating_file_removes_an_incomplete_last_line(
    path: Path, caplog: pytest.LogCaptureFixture, before: str, incomplete: str
) -> None:
    path.write_text(before + incomplete)
    write(path, "next", max_bytes=10**6)
    assert path.read_text() == f"{before}next\n"
    assert caplog.messages == [f"{path}: removed an incomplete last line ({len(incomplete)} bytes)"]


def test_rotating_file_keeps_complete_files(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for text in ("", "one\n", "one\n\n"):
        path.write_text(text)
        write(path)
        assert (path.read_text(), caplog.messages) == (text, [])


def test_rotating_file_refuses_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EdgeSSDError, match=r"cannot write to this file: .*; name another one"):
        write(tmp_path / "file" / "events.jsonl")
