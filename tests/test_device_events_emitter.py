"""Events from detections, with publishers that are lists."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
from event_factory import ListPublisher, event, result

from device_apps.events.emitter import EventEmitter
from device_apps.events.event import Event
from device_apps.events.tracker import Tracker
from device_apps.results import FrameResult
from device_apps.seen_frame import SeenObject
from edge_ssd.errors import EdgeSSDError

A, B = (10.0, 10.0, 30.0, 30.0), (100.0, 10.0, 120.0, 30.0)


class ListSnapshots:
    name = "snapshots"
    lost = 3
    failure = None

    def __init__(self) -> None:
        self.saved: list[tuple[Event, FrameResult]] = []
        self.found: list[SeenObject | None] = []
        self.closed = False
        self.is_full = False
        self.unwritten: list[Event] = []

    def path_for(self, event: Event) -> Path:
        return Path("snapshots") / f"{event.number}.jpg"

    def save(self, event: Event, result: FrameResult, found: SeenObject | None = None) -> bool:
        self.saved.append((event, result))
        self.found.append(found)
        return not self.is_full

    def close(self, deadline: float) -> None:
        self.closed = True


def emitter_for(*publishers: ListPublisher, clock: Callable[[], float] = lambda: 0.0, **more: object) -> EventEmitter:
    return EventEmitter(publishers, tracker=Tracker(0.5, 2.0), clock=clock, **more)  # type: ignore[arg-type]


def show(emitter: EventEmitter, *frames: list[tuple], start: float = 0.0) -> None:
    """Write the objects of each frame, at ten frames per second."""
    for i, objects in enumerate(frames):
        emitter.write(result(start + i * 0.1, i, *objects))


@pytest.fixture
def publisher() -> ListPublisher:
    return ListPublisher()


SIX_FRAMES = [[(0, A)]] * 6
"""Enough for one object to enter."""


def test_every_publisher_gets_one_enter_and_one_leave_per_object() -> None:
    first, second = ListPublisher(), ListPublisher()
    with emitter_for(first, second) as emitter:
        show(emitter, *([(0, A)] * (i < 30 and i % 3 != 0) + [(1, B)] * (i >= 20) for i in range(60)))
    expected = [("enter", 1, "banana"), ("enter", 2, "apple"), ("leave", 1, "banana"), ("leave", 2, "apple")]
    assert first.summary() == second.summary() == expected
    assert [item.number for item in first.events] == [1, 2, 3, 4]
    assert [item.reason for item in first.events] == [None, None, "unseen", "end"]
    assert len({item.id for item in first.events}) == 4


def test_event_describes_the_last_detection(publisher: ListPublisher) -> None:
    with emitter_for(publisher) as emitter:
        before = datetime.now(timezone.utc)
        show(emitter, *SIX_FRAMES, start=100.0)
    enter, leave = publisher.events
    assert before <= enter.time <= leave.time <= datetime.now(timezone.utc)
    assert (enter.box, enter.score, enter.class_id, enter.source, enter.sequence) == (A, 0.75, 0, "camera 0", 5)
    assert (enter.duration_s, leave.duration_s) == (None, pytest.approx(0.5))


def test_event_to_dict_has_plain_json_types() -> None:
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


def test_idle_expires_objects_of_a_lost_camera_by_the_clock(publisher: ListPublisher) -> None:
    now = [100.0]
    with emitter_for(publisher, clock=lambda: now[0], connected=lambda: False) as emitter:
        show(emitter, *SIX_FRAMES, start=100.0)
        for now[0] in (101.0, 102.4):
            emitter.idle()
        assert publisher.summary() == [("enter", 1, "banana")]
        now[0] = 102.6
        emitter.idle()
        assert publisher.summary()[1:] == [("leave", 1, "banana")]
    assert len(publisher.events) == 2


@pytest.mark.parametrize("interval", [1.0, 3.0, 10.0])
def test_slow_camera_has_events_of_its_frames_alone(publisher: ListPublisher, interval: float) -> None:
    """Between two frames the loop is idle for longer than both delays; the object flickers in one frame."""
    now = [0.0]
    with emitter_for(publisher, clock=lambda: now[0]) as emitter:
        for i in range(12):
            emitter.write(result(now[0], i, *[(0, A)] * (i < 8 and i != 4)))
            for _ in range(10):
                now[0] += interval / 10
                emitter.idle()
    assert publisher.summary() == [("enter", 1, "banana"), ("leave", 1, "banana")]
    assert [item.sequence for item in publisher.events] == [1, 9]
    assert publisher.events[1].duration_s == pytest.approx(7 * interval)


def test_slow_camera_that_is_lost_keeps_its_objects_for_two_frames(publisher: ListPublisher) -> None:
    now = [0.0]
    with emitter_for(publisher, clock=lambda: now[0], connected=lambda: False) as emitter:
        for i in range(4):
            emitter.write(result(3.0 * i, i, (0, A)))
        for now[0] in (14.0, 14.9, 15.1):
            assert publisher.summary() == [("enter", 1, "banana")]
            emitter.idle()
        assert publisher.summary()[1:] == [("leave", 1, "banana")]


def test_recording_is_timed_by_its_frames(publisher: ListPublisher) -> None:
    """At 10 frames per second, 0.5 s are five frames, at whatever speed and with whatever pauses they are read."""
    with emitter_for(publisher, clock=lambda: 1e9) as emitter:
        for i in range(40):
            emitter.write(result(time.monotonic(), i, *[(0, A)] * (i < 10), media_time=i / 10))
            emitter.idle()
    enter, leave = publisher.events
    assert (enter.sequence, leave.sequence) == (5, 29)
    assert leave.duration_s == pytest.approx(0.9)


def test_change_of_frame_size_keeps_the_object(publisher: ListPublisher) -> None:
    with emitter_for(publisher) as emitter:
        for i in range(20):
            big = i >= 10
            box = (20.0, 20.0, 60.0, 60.0) if big else A
            emitter.write(result(i * 0.1, i, (0, box), size=(200, 400) if big else (100, 200)))
    assert publisher.summary() == [("enter", 1, "banana"), ("leave", 1, "banana")]
    assert publisher.events[1].box == (20.0, 20.0, 60.0, 60.0)


def test_event_links_to_the_page() -> None:
    linked = event(3, snapshot=Path("a.jpg"), clip=Path("a.webm"), page="https://cam.example/door").to_dict()
    assert linked["snapshot_url"] == "https://cam.example/door/api/events/12ab-3/snapshot.jpg"
    assert linked["clip_url"] == "https://cam.example/door/api/events/12ab-3/clip.webm"
    assert "clip_url" not in event(3, page="https://cam.example/door").to_dict()


def test_every_event_has_a_snapshot(publisher: ListPublisher) -> None:
    snapshots = ListSnapshots()
    with emitter_for(publisher, snapshots=snapshots) as emitter:
        show(emitter, *SIX_FRAMES)
        assert emitter.lost == 3, "snapshots"
    assert [item.snapshot for item in publisher.events] == [Path("snapshots/1.jpg"), Path("snapshots/2.jpg")]
    assert [(saved, shown.frame.sequence) for saved, shown in snapshots.saved] == [(e, 5) for e in publisher.events]
    assert snapshots.closed


def test_lost_snapshot_is_in_no_event_and_in_the_history(publisher: ListPublisher) -> None:
    snapshots = ListSnapshots()
    with emitter_for(publisher, snapshots=snapshots, page="http://cam") as emitter:
        snapshots.is_full = True
        show(emitter, *SIX_FRAMES)
        snapshots.is_full = False
        emitter.write(result(2.0, 20, (0, A), score=0.99))  # There is no snapshot that this could replace.
        emitter.write(result(4.5, 45))
        snapshots.unwritten = [publisher.events[1]]
    assert [event.snapshot for event in publisher.events] == [None, Path("snapshots/2.jpg")]
    assert len(snapshots.saved) == 2
    for record in emitter.history.select()[0]:
        assert record["snapshot_lost"] is True
        assert {"snapshot", "snapshot_url", "best_score"}.isdisjoint(record)


def test_snapshot_of_an_object_is_replaced_by_better_ones_until_it_leaves() -> None:
    snapshots = ListSnapshots()
    with emitter_for(snapshots=snapshots) as emitter:
        show(emitter, *SIX_FRAMES)
        scores = {1.0: 0.8, 1.6: 0.81, 2.0: 0.9, 2.2: 0.99, 3.2: 0.95}  # by time
        for at, score in scores.items():
            emitter.write(result(at, round(10 * at), (0, A), score=score))
        emitter.write(result(4.5, 45))
        assert [shown.frame.sequence for _, shown in snapshots.saved] == [5, 16, 32]
        assert {str(saved.snapshot) for saved, _ in snapshots.saved} == {"snapshots/1.jpg"}
        assert snapshots.found[-1] == ("banana", pytest.approx(0.95), A)
        (record,), _ = emitter.history.select()
        assert (record["score"], record["best_score"]) == (0.75, 0.95)
        emitter.history.update(record["id"], verdict="right")
        emitter.write(result(5.0, 50, (0, A), score=0.999))
        assert len(snapshots.saved) == 3, "what was judged stays"
    assert snapshots.found[-1] is not None, "it is in the last frame"


def test_recent_returns_the_latest_events() -> None:
    with emitter_for() as emitter:
        show(emitter, *SIX_FRAMES)
        recent = emitter.recent
    assert [item.kind for item in recent] == ["enter"]
    assert [item.kind for item in emitter.recent] == ["enter", "leave"]


def test_recent_is_bounded() -> None:
    emitter = EventEmitter(tracker=Tracker(0.0, 0.0), clock=lambda: 0.0, max_recent=3)
    show(emitter, *([(0, A)] * (i % 3 < 2) for i in range(60)))
    assert [item.number for item in emitter.recent] == [38, 39, 40]


def test_subscriber_gets_events_until_unsubscribed() -> None:
    numbers: list[int] = []
    with emitter_for() as emitter:
        unsubscribe = emitter.subscribe(lambda item: numbers.append(item.number))
        show(emitter, *SIX_FRAMES)
        unsubscribe()
        unsubscribe()
    assert numbers == [1]


def test_failure_of_a_publisher_is_raised(publisher: ListPublisher) -> None:
    emitter = emitter_for(publisher)
    emitter.idle()
    publisher.failure = BrokenPipeError()
    for step in (emitter.idle, lambda: emitter.write(result(0, 0))):
        with pytest.raises(BrokenPipeError):
            step()


def test_failure_during_the_last_writes_is_raised_at_the_end(publisher: ListPublisher) -> None:
    second = ListPublisher()
    emitter = emitter_for(publisher, second)

    def run(failure: Exception) -> None:
        with emitter:
            show(emitter, *SIX_FRAMES)
            publisher.failure = failure

    with pytest.raises(EdgeSSDError, match="the spool"):
        run(EdgeSSDError("the spool"))
    assert second.close_deadline is not None
    run_quietly = emitter_for(publisher)
    with run_quietly:
        publisher.failure = BrokenPipeError()


def test_objects_leave_when_the_loop_raises(publisher: ListPublisher) -> None:
    emitter = emitter_for(publisher)

    def fail() -> None:
        with emitter:
            show(emitter, *SIX_FRAMES)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert publisher.summary()[-1] == ("leave", 1, "banana")
    assert publisher.close_deadline is not None
