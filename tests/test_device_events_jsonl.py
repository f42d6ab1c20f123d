"""Events as JSON Lines in files, pipes and standard output."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from clocks import wait_until
from event_factory import event

from device_apps.events.jsonl import open_json_lines
from edge_ssd.console.text import printable
from edge_ssd.errors import EdgeSSDError


def test_open_json_lines_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(EdgeSSDError, match="cannot write to this file"):
        open_json_lines(str(tmp_path), 1000, 1)


def test_json_lines_publisher_writes_events(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    publisher = open_json_lines(str(path), 10_000, 1)
    for number in (1, 2):
        publisher.publish(event(number, label="grüne Äpfel"))
    publisher.close(time.monotonic() + 30)
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == [
        event(1, label="grüne Äpfel").to_dict(),
        event(2, label="grüne Äpfel").to_dict(),
    ]


def test_json_lines_publisher_writes_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    publisher = open_json_lines("-", 10, 1)
    publisher.publish(event(1))
    publisher.close(time.monotonic() + 30)
    assert json.loads(capfd.readouterr().out) == event(1).to_dict()


def test_device_is_neither_truncated_nor_rotated(caplog: pytest.LogCaptureFixture) -> None:
    publisher = open_json_lines("/dev/full", 10, 1)
    publisher.publish(event(1))
    wait_until(lambda: caplog.messages)
    assert caplog.messages[0].startswith("/dev/full: cannot be written: No space left on device; detection goes on")
    publisher.close(time.monotonic() + 30)
    assert publisher.lost == 1


def test_unread_pipe_blocks_neither_publish_nor_close() -> None:
    reader, writer = os.pipe()
    try:
        publisher = open_json_lines(f"/dev/fd/{writer}", 10, 1)
        start = time.monotonic()
        for number in range(5000):
            publisher.publish(event(number))
        assert publisher.lost > 3000
        publisher.close(time.monotonic() + 0.2)
        assert time.monotonic() - start < 20
    finally:
        os.close(reader)  # Ends the thread.
        os.close(writer)
    wait_until(lambda: publisher.failure is not None)


def test_lines_cannot_reorder_a_terminal(tmp_path: Path) -> None:
    label = "a\u202eb\x1b[2J\x7f\x9b\u2066é"
    path = tmp_path / "events.jsonl"
    publisher = open_json_lines(str(path), 10**6, 1)
    publisher.publish(event(1, label=label))
    publisher.close(time.monotonic() + 5)
    text = path.read_text(encoding="utf-8")
    assert printable(text, lines=True) == text
    assert json.loads(text)["label"] == label
