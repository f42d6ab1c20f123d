"""Events while brokers and the writing process are killed; ``benchmarks/event_kills.py`` repeats it many times."""

from __future__ import annotations

from pathlib import Path

from event_kills import kill_brokers, kill_writers
from mqtt_broker import require_programs


def test_killed_brokers_lose_no_event_and_keep_the_order(tmp_path: Path) -> None:
    require_programs("mosquitto")
    delivery = kill_brokers(tmp_path, kills=4, events=250)
    assert len(delivery.published) >= 250
    assert delivery.lost == set()
    assert delivery.out_of_order == 0


def test_killed_writers_leave_no_damaged_files(tmp_path: Path) -> None:
    counts = kill_writers(tmp_path, kills=4)
    assert (counts.bad_lines, counts.bad_snapshots, counts.bad_spools, counts.not_deleted) == (0, 0, 0, 0), counts
    assert min(counts.lines, counts.snapshots, counts.spooled) > 0, counts
