"""Events from results, with channels that are lists."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
from event_parts import ListChannel, event, result

from device_apps.events import emitter as events
from device_apps.events.emitter import Event, EventEmitter
from device_apps.events.tracker import Tracker
from device_apps.results import FrameResult

A, B = (10.0, 10.0, 30.0, 30.0), (100.0, 10.0, 120.0, 30.0)


class ListPictures:
    name = "pictures"
    lost = 3

    def __init__(self) -> None:
        self.saved: list[tuple[Path, FrameResult]] = []
        self.closed = False

    def path_for(self, event: Event) -> Path:
        return Path("pictures") / f"{event.number}.jpg"

    def save(self, path: Path, result: FrameResult) -> None:
        self.saved.append((path, result))

    def close(self, deadline: float) -> None:
        self.closed = True


def sink_for(*channels: ListChannel, clock: Callable[[], float] = lambda: 0.0, **more: object) -> EventEmitter:
    return EventEmitter(channels, tracker=Tracker(0.5, 2.0), clock=clock, **more)  # type: ignore[arg-type]


def test_one_enter_and_one_leave_an_object_in_every_channel() -> None:
    first, second = ListChannel(), ListChannel()
    with sink_for(first, second) as sink:
        for i in range(60):
            there = [(0, A)] * (i < 30 and i % 3 != 0) + [(1, B)] * (i >= 20)
            sink.write(result(100 + i * 0.1, i, *there))
    expected = [("enter", 1, "banana"), ("enter", 2, "apple"), ("leave", 1, "banana"), ("leave", 2, "apple")]
    assert first.brief() == second.brief() == expected
    assert [item.number for item in first.events] == [1, 2, 3, 4]
    assert [item.reason for item in first.events] == [None, None, "unseen", "end"]
    assert len({item.id for item in first.events}) == 4


def test_what_an_event_says() -> None:
    channel = ListChannel()
    with sink_for(channel) as sink:
        before = datetime.now(timezone.utc)
        for i in range(6):
            sink.write(result(100 + i * 0.1, i, (0, A)))
    enter, leave = channel.events
    assert before <= enter.time <= leave.time <= datetime.now(timezone.utc)
    assert (enter.box, enter.score, enter.class_id, enter.source, enter.sequence) == (A, 0.75, 0, "camera 0", 5)
    assert (enter.duration_s, leave.duration_s) == (None, pytest.approx(0.5))


def test_the_json_of_an_event() -> None:
    assert json.loads(json.dumps(event(7).to_dict())) == {
        "id": "12ab-7",
        "kind": "enter",
        "object_id": 1,
        "label": "banana",
        "class_id": 0,
        "score": 0.75,
        "box": [10.0, 20.0, 30.5, 40.25],
        "time": "2026-11-24T12:00:07.250+00:00",
        "source": "camera 0",
        "sequence": 7,
    }
    more = event(8, "leave", duration_s=1.23456, reason="end", snapshot=Path("a/b.jpg")).to_dict()
    assert (more["duration_s"], more["reason"], more["snapshot"]) == (1.235, "end", str(Path("a/b.jpg")))


def test_when_the_source_is_lost_objects_leave_by_the_clock() -> None:
    now = [100.0]
    channel = ListChannel()
    with sink_for(channel, clock=lambda: now[0]) as sink:
        for i in range(6):
            sink.write(result(100 + i * 0.1, i, (0, A)))
        for now[0] in (101.0, 102.4):
            sink.idle()
        assert channel.brief() == [("enter", 1, "banana")]
        now[0] = 102.6
        sink.idle()
        assert channel.brief()[1:] == [("leave", 1, "banana")]
    assert len(channel.events) == 2


def test_a_recording_is_timed_by_its_frames() -> None:
    """Read at any speed, with pauses: what counts is that at 10 frames a second 0.5 s are five frames."""
    channel = ListChannel()
    with sink_for(channel, clock=lambda: 1e9, fps=10.0) as sink:
        for i in range(40):
            sink.write(result(time.monotonic(), i, *[(0, A)] * (i < 10)))
            sink.idle()
    enter, leave = channel.events
    assert (enter.sequence, leave.sequence) == (5, 29)
    assert leave.duration_s == pytest.approx(0.9)


def test_a_stream_that_changes_its_size_goes_on() -> None:
    channel = ListChannel()
    with sink_for(channel) as sink:
        for i in range(20):
            big = i >= 10
            box = (20.0, 20.0, 60.0, 60.0) if big else A
            sink.write(result(i * 0.1, i, (0, box), size=(200, 400) if big else (100, 200)))
    assert channel.brief() == [("enter", 1, "banana"), ("leave", 1, "banana")]
    assert channel.events[1].box == (20.0, 20.0, 60.0, 60.0)


def test_every_event_has_its_picture() -> None:
    channel, pictures = ListChannel(), ListPictures()
    with sink_for(channel, pictures=pictures) as sink:
        for i in range(6):
            sink.write(result(i * 0.1, i, (0, A)))
        assert sink.lost == {"list": 0, "pictures": 3}
    assert [item.snapshot for item in channel.events] == [Path("pictures/1.jpg"), Path("pictures/2.jpg")]
    assert [(path.name, shown.frame.sequence) for path, shown in pictures.saved] == [("1.jpg", 5), ("2.jpg", 5)]
    assert pictures.closed


def test_who_looks_later_sees_the_last_events() -> None:
    with sink_for() as sink:
        for i in range(6):
            sink.write(result(i * 0.1, i, (0, A)))
        recent = sink.recent
    assert [item.kind for item in recent] == ["enter"]
    assert [item.kind for item in sink.recent] == ["enter", "leave"]


def test_memory_of_events_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_REMEMBERED", 3)
    sink = EventEmitter(tracker=Tracker(0.0, 0.05), clock=lambda: 0.0)
    for i in range(60):
        sink.write(result(i * 0.1, i, *[(0, A)] * (i % 3 < 2)))
    assert [item.number for item in sink.recent] == [38, 39, 40]


def test_subscribers_come_and_go() -> None:
    seen: list[int] = []
    with sink_for() as sink:
        end = sink.subscribe(lambda item: seen.append(item.number))
        for i in range(6):
            sink.write(result(i * 0.1, i, (0, A)))
        end()
        end()
    assert seen == [1]


def test_a_reader_that_went_away_ends_the_loop() -> None:
    channel = ListChannel()
    sink = sink_for(channel)
    sink.idle()
    channel.failure = BrokenPipeError()
    for step in (sink.idle, lambda: sink.write(result(0, 0))):
        with pytest.raises(BrokenPipeError):
            step()


def test_objects_leave_when_the_loop_fails() -> None:
    channel = ListChannel()
    sink = sink_for(channel)

    def fail() -> None:
        with sink:
            for i in range(6):
                sink.write(result(i * 0.1, i, (0, A)))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert channel.brief()[-1] == ("leave", 1, "banana")
    assert channel.closed_by is not None
