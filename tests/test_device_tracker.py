"""The tracker, by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from event_parts import detections
from hypothesis import given
from hypothesis import strategies as st

from device_apps.events.tracker import Track, Tracker, associate
from edge_ssd.boxes import box_iou

A, B = (10.0, 10.0, 30.0, 30.0), (100.0, 10.0, 120.0, 30.0)


def ids(tracks: list[Track]) -> list[int]:
    return [track.object_id for track in tracks]


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def same(number: int) -> np.ndarray:
    return np.zeros(number, np.int64)


def test_the_pair_that_overlaps_most_is_made_first() -> None:
    before = boxes((0, 0, 10, 10), (4, 0, 14, 10))
    now = boxes((5, 0, 15, 10), (1, 0, 11, 10))
    # IoU: 5/15 and 9/11 for the first, 9/11 and 7/13 for the second.
    assert associate(before, same(2), now, same(2), 0.2) == [(0, 1), (1, 0)]


def test_pairs_below_the_threshold_are_none() -> None:
    before, now = boxes((0, 0, 10, 10)), boxes((8, 0, 18, 10))  # IoU 2/18
    assert associate(before, same(1), now, same(1), 0.2) == []
    assert associate(before, same(1), now, same(1), 0.1) == [(0, 0)]


def test_classes_never_mix() -> None:
    one = boxes((0, 0, 10, 10))
    assert associate(one, np.array([0]), one, np.array([1]), 0.0) == []


def test_of_equal_overlaps_the_first_goes_first() -> None:
    one = (0, 0, 10, 10)
    assert associate(boxes(one, one), same(2), boxes(one), same(1), 0.2) == [(0, 0)]
    assert associate(boxes(one), same(1), boxes(one, one), same(2), 0.2) == [(0, 0)]


@pytest.mark.parametrize(("before", "now"), [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_pair(before: int, now: int) -> None:
    one = [(0.0, 0.0, 10.0, 10.0)]
    assert associate(boxes(*one * before), same(before), boxes(*one * now), same(now), 0.2) == []


corner = st.integers(0, 40)
box_lists = st.lists(st.tuples(corner, corner, st.integers(1, 20), st.integers(1, 20), st.integers(0, 1)), max_size=6)


@given(box_lists, box_lists)
def test_pairs_are_one_to_one_and_none_is_left_out(before: list[tuple], now: list[tuple]) -> None:
    def arrays(items: list[tuple]) -> tuple[np.ndarray, np.ndarray]:
        return boxes(*((x, y, x + w, y + h) for x, y, w, h, _ in items)), np.array([i[4] for i in items], np.int64)

    (old, old_ids), (new, new_ids) = arrays(before), arrays(now)
    pairs = associate(old, old_ids, new, new_ids, 0.2)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    overlap = box_iou(old, new)
    values = [overlap[i, j] for i, j in pairs]
    assert all(a >= b for a, b in pairwise(values))
    free_old, free_new = set(range(len(old))) - {i for i, _ in pairs}, set(range(len(new))) - {j for _, j in pairs}
    assert not any(overlap[i, j] >= 0.2 and old_ids[i] == new_ids[j] for i in free_old for j in free_new)
    assert all(old_ids[i] == new_ids[j] for i, j in pairs)


def test_an_object_enters_after_its_time_and_leaves_after_its_time() -> None:
    tracker = Tracker(enter_after=0.5, leave_after=2.0)
    for at, entered in [(10.0, []), (10.25, []), (10.5, [1]), (10.75, [])]:
        changes = tracker.update(detections((0, A)), at)
        assert (ids(changes.entered), changes.left) == (entered, []), at
    for at in (11.0, 12.0, 12.74):
        assert tracker.update(detections(), at).left == []
    (gone,) = tracker.update(detections(), 12.75).left
    assert (gone.object_id, gone.first_seen, gone.last_seen, gone.label, gone.score) == (1, 10.0, 10.75, "banana", 0.75)
    assert gone.box == A
    assert tracker.present == []


def test_one_frame_is_never_enough() -> None:
    tracker = Tracker(enter_after=0.0, leave_after=2.0)
    assert tracker.update(detections((0, A)), 1.0).entered == []
    assert ids(tracker.update(detections((0, A)), 1.0).entered) == [1]


@pytest.mark.parametrize("fps", [1, 2, 5, 15, 30, 100])
def test_the_frame_rate_does_not_matter(fps: int) -> None:
    """Seen for four seconds, away for four: whatever the frame rate, one object, in and out in time."""
    tracker = Tracker(enter_after=0.5, leave_after=2.0)
    entered, left = [], []
    for i in range(8 * fps):
        at = i / fps
        changes = tracker.update(detections(*[(0, A)] if at < 4 else []), at)
        entered += [at] * len(changes.entered)
        left += [at] * len(changes.left)
    (came,), (went,) = entered, left
    last_seen = (4 * fps - 1) / fps
    assert 0.5 <= came <= 0.5 + 1 / fps
    assert last_seen + 2.0 <= went <= last_seen + 2.0 + 1 / fps


def test_a_flickering_detection_is_one_object() -> None:
    tracker = Tracker(enter_after=0.5, leave_after=2.0)
    changes = [tracker.update(detections(*[(0, A)] if i % 4 in (0, 1) else []), i * 0.1) for i in range(100)]
    assert [ids(change.entered) for change in changes if change.entered] == [[1]]
    assert not any(change.left for change in changes)


def test_false_alarms_now_and_then_are_no_object() -> None:
    """At the same place every 1.5 s: far apart for something that enters, near enough for something that is there."""
    tracker = Tracker(enter_after=0.5, leave_after=2.0)
    changes = [tracker.update(detections(*[(0, A)] if i % 15 == 0 else []), i * 0.1) for i in range(300)]
    assert not any(change.entered or change.left for change in changes)


def test_objects_keep_their_ids_when_they_move_and_when_others_come() -> None:
    tracker = Tracker(enter_after=0.1, leave_after=1.0)
    for i in range(40):
        moving = (0, (10.0 + 4 * i, 10.0, 30.0 + 4 * i, 30.0))
        still = (0, (100.0, 60.0, 120.0, 80.0))
        order = [moving, still] if i % 2 else [still, moving]
        tracker.update(detections(*order if i > 5 else [moving]), i * 0.1)
    moved, stood = tracker.present
    assert (moved.object_id, stood.object_id) == (1, 2)
    assert moved.box == (166.0, 10.0, 186.0, 30.0)
    assert moved.hits == 40


def test_no_id_is_spent_on_a_false_alarm_and_none_is_used_again() -> None:
    tracker = Tracker(enter_after=0.1, leave_after=0.5)
    tracker.update(detections((0, B)), 0.0)
    seen = []
    for start in (1.0, 3.0, 5.0):
        tracker.update(detections(), start - 0.1)
        for i in range(3):
            seen += ids(tracker.update(detections((0, A)), start + i * 0.1).entered)
    assert seen == [1, 2, 3]


def test_the_same_place_of_a_picture_of_another_size_is_the_same_object() -> None:
    tracker = Tracker(enter_after=0.1, leave_after=1.0)
    for i in range(5):
        tracker.update(detections((0, A)), i * 0.1)
    twice = (20.0, 20.0, 60.0, 60.0)
    changes = tracker.update(detections((0, twice), size=(200, 400)), 0.6)
    assert (changes.entered, changes.left) == ([], [])
    assert [track.box for track in tracker.present] == [twice]


def test_without_frames_objects_leave_as_well() -> None:
    tracker = Tracker(enter_after=0.1, leave_after=1.0)
    for i in range(5):
        tracker.update(detections((0, A), (1, B)), i * 0.1)
    assert tracker.expire(1.3) == []
    assert ids(tracker.expire(1.5)) == [1, 2]
    assert tracker.expire(9.0) == []


def test_an_object_that_is_there_again_after_a_gap_without_frames_has_not_left() -> None:
    tracker = Tracker(enter_after=0.1, leave_after=1.0)
    for i in range(5):
        tracker.update(detections((0, A)), i * 0.1)
    changes = tracker.update(detections((0, A)), 60.0)
    assert (changes.entered, changes.left, ids(tracker.present)) == ([], [], [1])


def test_clear_gives_what_was_present_only() -> None:
    tracker = Tracker(enter_after=0.1, leave_after=1.0)
    for i in range(3):
        tracker.update(detections((0, A), *[(1, B)] if i == 2 else []), i * 0.1)
    assert ids(tracker.clear()) == [1]
    assert tracker.clear() == []
