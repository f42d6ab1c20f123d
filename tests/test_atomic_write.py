from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_ssd.atomic_write import atomic_directory, atomic_path, check_writable


def test_atomic_path_creates_complete_file(tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "file.txt"
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.suffix == ".txt"
        temporary.write_text("complete")
        assert not target.exists()
    assert target.read_text() == "complete"
    assert list(target.parent.iterdir()) == [target]


def test_atomic_path_keeps_old_file_on_error(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_atomic_path_without_written_file_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "file.txt"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_atomic_path_concurrent_writers_do_not_mix(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    with atomic_path(target) as first, atomic_path(target) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"  # the last writer wins
    assert list(tmp_path.iterdir()) == [target]


def test_atomic_path_error_names_target(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    with pytest.raises(FileNotFoundError) as absent, atomic_path(target):
        pass
    assert absent.value.filename == str(target)

    def fill(about: str | None) -> None:
        with atomic_path(target):
            raise OSError(errno.ENOSPC, "full", about)

    for about, named in ((None, str(target)), ("elsewhere.png", "elsewhere.png")):
        with pytest.raises(OSError, match="full") as full:
            fill(about)
        assert full.value.filename == named


_WRITE_FOREVER = """
import sys, time
from edge_ssd.atomic_write import atomic_directory
with atomic_directory(sys.argv[1]) as temporary:
    (temporary / "half").write_text("half")
    print("writing", flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_atomic_directory_removes_what_a_killed_process_left_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "set"
    processes = []
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", _WRITE_FOREVER, str(target)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        processes.append(process)
    killed, running = processes
    try:
        killed.kill()
        killed.wait()
        (tmp_path / ".set.backup").mkdir()
        assert len(list(tmp_path.iterdir())) == 3
        with atomic_directory(target) as temporary:
            (temporary / "whole").write_text("whole")
        left = {path.name for path in tmp_path.iterdir()} - {"set", ".set.backup"}
        assert len(left) == 1
        assert f"-{running.pid}-" in left.pop()
        assert (target / "whole").is_file()
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_check_writable_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check_writable(tmp_path / "new" / "folder" / "a.txt")
    check_writable(tmp_path / "file")
    with pytest.raises(NotADirectoryError) as in_the_way:
        check_writable(tmp_path / "file" / "new" / "a.txt")
    assert in_the_way.value.filename == str(tmp_path / "file")
    with pytest.raises(IsADirectoryError):
        check_writable(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc, which is not writable")
def test_check_writable_raises_for_unwritable_path() -> None:
    # Not /proc itself: the emulated ARM systems have a writable one.
    with pytest.raises(OSError, match=r"/proc/self/a\.txt"):
        check_writable("/proc/self/a.txt")
