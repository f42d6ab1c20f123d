"""The history of events: what is selected, and what a restart finds again."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from event_factory import event

from device_apps.events.history import EventHistory


def numbers(history: EventHistory, **query: Any) -> list[int]:
    return [int(record["id"].partition("-")[2]) for record in history.select(**query)[0]]


def filled(history: EventHistory) -> EventHistory:
    history.publish(event(1))
    history.publish(event(2, "zone_enter", zone="Bed"))
    history.publish(event(3, label="apple"))
    history.publish(event(4, "line_cross", line="Gate", direction="in"))
    history.publish(event(5, "leave", label="apple"))
    return history


def test_select_returns_the_newest_that_match() -> None:
    history = filled(EventHistory())
    assert numbers(history) == [5, 4, 3, 2, 1]
    assert numbers(history, label="apple") == [5, 3]
    assert numbers(history, zone="Bed") == [2]
    assert numbers(history, zone="Gate", label="banana") == [4]
    assert numbers(history, before="12ab-3") == [2, 1]
    assert numbers(history, before="other-3") == []
    at = datetime(2026, 11, 24, 12, 0, 3, 250_000, timezone.utc)
    assert numbers(history, since=at) == [5, 4, 3]
    assert numbers(history, until=at) == [2, 1]
    assert (numbers(history, limit=2), history.select(limit=2)[1], history.select(limit=5)[1]) == ([5, 4], True, False)
    assert history.names() == {"labels": ["apple", "banana"], "zones": ["Bed", "Gate"]}


def test_history_is_bounded() -> None:
    assert numbers(filled(EventHistory(max_events=2))) == [5, 4]


def test_history_and_what_became_known_survive_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    history = filled(EventHistory(file))
    history.update("12ab-1", best_score=0.9, verdict="wrong", collected="a.jpg")
    history.update("12ab-2", verdict="right")
    history.update("12ab-2", verdict=None)
    assert history.update("12ab-99", verdict="right") is None
    history.close(time.monotonic() + 30)
    before = [history.get(f"12ab-{number}") for number in range(1, 6)]
    damage = [
        '{"id": "12ab-1", "update": {"snapshot": "/etc/passwd"}}',
        '{"id": "12ab-1", "update": {"verdict": {}}}',
        '{"id": ["12ab-1"], "update": {"verdict": "right"}}',
        "[]",
        "\x00",
        file.read_text().splitlines()[1].replace('"Bed"', "[1]"),
        '{"id": "cut',
    ]
    with file.open("a") as stream:
        stream.write("\n".join(damage))
    again = EventHistory(file)
    again.close(time.monotonic() + 30)
    assert [again.get(f"12ab-{number}") for number in range(1, 6)] == before
    assert before[0] is not None
    assert (before[0]["best_score"], before[0]["verdict"], before[0]["collected"]) == (0.9, "wrong", "a.jpg")
    assert numbers(again) == [5, 4, 3, 2, 1]
