"""Events while brokers and we ourselves are killed; ``benchmarks/event_kills.py`` does the same many times."""

from __future__ import annotations

from pathlib import Path

from event_kills import kill_brokers, kill_writers
from mqtt_broker import need


def test_killed_brokers_lose_nothing_and_change_no_order(tmp_path: Path) -> None:
    need("mosquitto")
    delivery = kill_brokers(tmp_path, kills=4, events=250)
    assert len(delivery.published) >= 250
    assert delivery.lost == set()
    assert delivery.disorder == 0


def test_killed_writers_leave_only_whole_lines_pictures_and_spools(tmp_path: Path) -> None:
    remains = kill_writers(tmp_path, kills=4)
    assert (remains.bad_lines, remains.bad_pictures, remains.bad_spools, remains.left_over) == (0, 0, 0, 0), remains
    assert min(remains.lines, remains.pictures, remains.spooled) > 0, remains
