"""Which clip shows which event: every event has one, with what is before and after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pytest
from event_factory import event

from device_apps.event_clips.clip_options import ClipOptions
from device_apps.event_clips.schedule import Clip, ClipSchedule

Happening = tuple[float, str, int]  # time, kind, object


class Recorded(NamedTuple):
    """A clip, from its first to its last second, and the times of its events."""

    start: float
    end: float
    events: list[float]


def record(options: ClipOptions, happenings: Sequence[Happening], until: float, fps: float = 10.0) -> list[Recorded]:
    """Return the clips of events, with a frame every tenth of a second from 0 on."""
    changes: list[Clip | None] = []
    ends: list[float] = []
    now = 0.0

    def change(clip: Clip | None) -> None:
        changes.append(clip)
        if clip is None:
            ends.append(round(now, 3))

    schedule = ClipSchedule(options, change)
    events: dict[str, list[float]] = {}
    waiting = list(happenings)
    for count in range(round(fps * until)):
        now = count / fps
        while waiting and waiting[0][0] <= now:
            at, kind, object_id = waiting.pop(0)
            clip = schedule.clip_for(event(len(happenings) - len(waiting), kind, object_id), now)
            assert clip is not None
            events.setdefault(clip.name, []).append(at)
        schedule.add_frame(now)
    schedule.finish()
    assert changes[1::2] == [None] * len(ends), "one clip at a time"
    clips = [clip for clip in changes if clip is not None]
    return [Recorded(round(clip.starts_at, 3), end, events[clip.name]) for clip, end in zip(clips, ends, strict=True)]


def test_object_that_stays_for_an_hour_has_its_crossings_in_clips_and_not_what_is_between() -> None:
    crossings = [(60.0 * minute, "line_cross", 1) for minute in range(1, 60)]
    clips = record(ClipOptions(), [(10.0, "enter", 1), *crossings, (3590.0, "leave", 1)], 3600, fps=2)
    assert clips[0] == Recorded(5, 65, [10, 60])
    assert clips[1:] == [Recorded(at - 5, at + 3, [at]) for at in (*(60 * minute for minute in range(2, 60)), 3590)]


@pytest.mark.parametrize(("before", "after", "maximum"), [(5, 3, 8), (5, 3, 60), (2, 1, 4), (5, 3, 5.1), (0.5, 10, 2)])
@pytest.mark.parametrize("period", [0.1, 0.7, 3.3, 9.1])
def test_every_event_has_its_seconds_after_and_at_least_two_before(
    before: float, after: float, maximum: float, period: float
) -> None:
    options = ClipOptions(before=before, after=after, max_seconds=maximum)
    crossings = [(round(period * number, 3), "line_cross", 1) for number in range(1, int(60 / period))]
    clips = record(options, [(0.0, "enter", 1), *crossings], 90)
    shown = [(clip, at) for clip in clips for at in clip.events]
    assert len(shown) == 1 + len(crossings)
    for clip, at in shown:
        assert clip.end - at >= after - 0.01
        assert at - clip.start >= min(at, before, 2) - 0.1
        assert clip.end - clip.start <= max(maximum, before) + 2 * after
    assert sum(clip.end - clip.start for clip in clips) <= 3.5 * 60


def test_maximum_does_not_count_seconds_that_there_are_no_frames_of() -> None:
    crossing = (4.0, "line_cross", 1)
    assert record(ClipOptions(max_seconds=8), [(1.0, "enter", 1), crossing], 20) == [Recorded(0, 8, [1, 4])]


def test_clip_ends_after_the_objects_that_entered_in_it_whatever_else_stays() -> None:
    happenings = [(1.0, "enter", 1), (100.0, "enter", 2), (110.0, "leave", 2), (150.0, "enter", 3)]
    clips = record(ClipOptions(), happenings, 300)
    assert [(clip.start, clip.end) for clip in clips] == [(0, 60), (95, 113), (145, 205)]


def test_end_of_the_program_begins_no_clip() -> None:
    schedule = ClipSchedule(ClipOptions(), lambda clip: None)
    schedule.add_frame(0)
    assert schedule.clip_for(event(1, "leave"), 0, begin=False) is None
    clip = schedule.clip_for(event(2, "enter"), 0)
    assert schedule.clip_for(event(3, "leave"), 0, begin=False) is clip
