"""The tracker, against literals worked out by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from event_factory import detections
from hypothesis import given
from hypothesis import strategies as st

from device_apps.events.delay import Delay
from device_apps.events.tracker import Track, Tracker, associate
from edge_ssd.boxes import box_iou

A, B = (10.0, 10.0, 30.0, 30.0), (100.0, 10.0, 120.0, 30.0)


def ids(tracks: list[Track]) -> list[int]:
    return [track.object_id for track in tracks]


def show(tracker: Tracker, frames: int, *objects: tuple[int, tuple[float, ...]]) -> None:
    """Update a tracker with the same objects, at ten frames per second."""
    for i in range(frames):
        tracker.update(detections(*objects), i * 0.1)


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(-1, 4)


def one_class(number: int) -> np.ndarray:
    return np.zeros(number, np.int64)


def test_associate_matches_highest_iou_first() -> None:
    before = boxes((0, 0, 10, 10), (4, 0, 14, 10))
    now = boxes((5, 0, 15, 10), (1, 0, 11, 10))
    # IoU: 5/15 and 9/11 for the first, 9/11 and 7/13 for the second.
    assert associate(before, one_class(2), now, one_class(2), 0.2) == [(0, 1), (1, 0)]


def test_associate_ignores_pairs_below_the_iou_threshold() -> None:
    before, now = boxes((0, 0, 10, 10)), boxes((8, 0, 18, 10))  # IoU 2/18
    assert associate(before, one_class(1), now, one_class(1), 0.2) == []
    assert associate(before, one_class(1), now, one_class(1), 0.1) == [(0, 0)]


def test_associate_never_matches_different_classes() -> None:
    one = boxes((0, 0, 10, 10))
    assert associate(one, np.array([0]), one, np.array([1]), 0.0) == []


def test_associate_matches_equal_ious_in_index_order() -> None:
    one = (0, 0, 10, 10)
    assert associate(boxes(one, one), one_class(2), boxes(one), one_class(1), 0.2) == [(0, 0)]
    assert associate(boxes(one), one_class(1), boxes(one, one), one_class(2), 0.2) == [(0, 0)]


@pytest.mark.parametrize(("before", "now"), [(0, 0), (0, 3), (3, 0)])
def test_associate_accepts_empty_inputs(before: int, now: int) -> None:
    one = [(0.0, 0.0, 10.0, 10.0)]
    assert associate(boxes(*one * before), one_class(before), boxes(*one * now), one_class(now), 0.2) == []


corner = st.integers(0, 40)
box_lists = st.lists(st.tuples(corner, corner, st.integers(1, 20), st.integers(1, 20), st.integers(0, 1)), max_size=6)


@given(box_lists, box_lists)
def test_associate_pairs_are_one_to_one_and_complete(before: list[tuple], now: list[tuple]) -> None:
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


def test_tracker_object_enters_and_leaves_after_the_set_times() -> None:
    tracker = Tracker(enter_after=0.5, leave_after=2.0)
    for at, entered in [(10.0, []), (10.25, []), (10.5, [1]), (10.75, [])]:
        changes = tracker.update(detections((0, A)), at)
        assert (ids(changes.entered), changes.left) == (entered, []), at
    for at in (11.0, 12.0, 12.74):
        assert tracker.update(detections(), at).left == []
    (left,) = tracker.update(detections(), 12.75).left
    assert (left.object_id, left.first_seen, left.last_seen, left.label, left.score) == (1, 10.0, 10.75, "banana", 0.75)
    assert left.box == A
    assert tracker.present == []


def test_tracker_needs_two_frames_to_enter() -> None:
    tracker = Tracker(enter_after=0.0, leave_after=2.0)
    assert tracker.update(detections((0, A)), 1.0).entered == []
    assert ids(tracker.update(detections((0, A)), 1.0).entered) == [1]


@pytest.mark.parametrize("fps", [1, 2, 5, 15, 30, 100])
def test_tracker_is_independent_of_the_frame_rate(fps: int) -> None:
    """Visible for four seconds, absent for four: one object at any frame rate."""
    tracker = Tracker(enter_after=0.5, leave_after=2.0)
    entered, left = [], []
    for i in range(8 * fps):
        at = i / fps
        changes = tracker.update(detections(*[(0, A)] if at < 4 else []), at)
        entered += [at] * len(changes.entered)
        left += [at] * len(changes.left)
    (entered_at,), (left_at,) = entered, left
    last_seen = (4 * fps - 1) / fps
    assert 0.5 <= entered_at <= 0.5 + 1 / fps
    assert last_seen + 2.0 <= left_at <= last_seen + 2.0 + 1 / fps


@pytest.mark.parametrize("fps", [0.1, 0.3, 1, 10, 23.976, 30, 120])
@pytest.mark.parametrize("start", [0.0, 3.7])
@pytest.mark.parametrize("rounded", [False, True])
def test_tracker_delays_are_exact_by_time_stamps(fps: float, start: float, rounded: bool) -> None:
    """The frame at which a delay is over decides, also with time stamps in whole milliseconds."""
    frames = max(round(2 * fps), 1)
    tracker = Tracker(enter_after=frames / fps, leave_after=frames / fps)
    entered, left = [], []
    for i in range(5 * frames + 5):
        at = start + i / fps
        visible = [(0, A)] * (i <= 2 * frames)
        changes = tracker.update(detections(*visible), round(at, 3) if rounded else at)
        entered += [i] * len(changes.entered)
        left += [i] * len(changes.left)
    assert (entered, left) == ([frames], [3 * frames])


@pytest.mark.parametrize("seconds", [0.01, 1.0, 30.0])
def test_tracker_delays_in_frames_hold_at_any_rate(seconds: float) -> None:
    tracker = Tracker(Delay(0, 3), Delay(0, 4))
    visible = [False, True, False, True, True, True, False, False, False, True, False, False, False, False]
    entered, left = [], []
    for i, shown in enumerate(visible):
        changes = tracker.update(detections(*[(0, A)] * shown), i * seconds)
        entered += [i] * len(changes.entered)
        left += [i] * len(changes.left)
    assert (entered, left) == ([4], [13])


def test_tracker_one_frame_can_be_enough() -> None:
    tracker = Tracker(Delay(0, 1), Delay(0, 1))
    assert ids(tracker.update(detections((0, A)), 1.0).entered) == [1]
    assert ids(tracker.update(detections(), 1.0).left) == [1]


def test_tracker_detection_that_flickers_at_a_slow_rate_is_one_object() -> None:
    tracker = Tracker(enter_after=0.5, leave_after=2.0)
    changes = [tracker.update(detections(*[(0, A)] * (i < 2 or i % 2)), i * 5.0) for i in range(20)]
    assert [ids(change.entered) for change in changes if change.entered] == [[1]]
    assert not any(change.left for change in changes)


def test_tracker_flickering_detection_is_one_object() -> None:
    tracker = Tracker(enter_after=0.5, leave_after=2.0)
    changes = [tracker.update(detections(*[(0, A)] if i % 4 in (0, 1) else []), i * 0.1) for i in range(100)]
    assert [ids(change.entered) for change in changes if change.entered] == [[1]]
    assert not any(change.left for change in changes)


def test_tracker_repeated_false_positives_never_enter() -> None:
    """At the same place every 1.5 s: longer than ``enter_after``, shorter than ``leave_after``."""
    tracker = Tracker(enter_after=0.5, leave_after=2.0)
    changes = [tracker.update(detections(*[(0, A)] if i % 15 == 0 else []), i * 0.1) for i in range(300)]
    assert not any(change.entered or change.left for change in changes)


def test_tracker_objects_keep_their_ids_when_they_move() -> None:
    tracker = Tracker(enter_after=0.1, leave_after=1.0)
    for i in range(40):
        moving = (0, (10.0 + 4 * i, 10.0, 30.0 + 4 * i, 30.0))
        static = (0, (100.0, 60.0, 120.0, 80.0))
        order = [moving, static] if i % 2 else [static, moving]
        tracker.update(detections(*order if i > 5 else [moving]), i * 0.1)
    moving_track, static_track = tracker.present
    assert (moving_track.object_id, static_track.object_id) == (1, 2)
    assert moving_track.box == (166.0, 10.0, 186.0, 30.0)
    assert moving_track.hits == 40


def test_tracker_false_positive_uses_no_id_and_ids_are_unique() -> None:
    tracker = Tracker(enter_after=0.1, leave_after=0.5)
    tracker.update(detections((0, B)), 0.0)
    object_ids = []
    for start in (1.0, 3.0, 5.0):
        tracker.update(detections(), start - 0.1)
        for i in range(3):
            object_ids += ids(tracker.update(detections((0, A)), start + i * 0.1).entered)
    assert object_ids == [1, 2, 3]


def test_tracker_keeps_an_object_when_the_frame_size_changes() -> None:
    tracker = Tracker(enter_after=0.1, leave_after=1.0)
    show(tracker, 5, (0, A))
    scaled = (20.0, 20.0, 60.0, 60.0)
    changes = tracker.update(detections((0, scaled), size=(200, 400)), 0.6)
    assert (changes.entered, changes.left) == ([], [])
    assert [track.box for track in tracker.present] == [scaled]


def test_tracker_expire_removes_objects_without_frames() -> None:
    tracker = Tracker(enter_after=0.1, leave_after=1.0)
    show(tracker, 5, (0, A), (1, B))
    assert tracker.expire(1.3) == []
    assert ids(tracker.expire(1.5)) == [1, 2]
    assert tracker.expire(9.0) == []


def test_tracker_object_survives_a_gap_without_frames() -> None:
    tracker = Tracker(enter_after=0.1, leave_after=1.0)
    show(tracker, 5, (0, A))
    changes = tracker.update(detections((0, A)), 60.0)
    assert (changes.entered, changes.left, ids(tracker.present)) == ([], [], [1])


def test_tracker_clear_returns_present_objects_only() -> None:
    tracker = Tracker(enter_after=0.1, leave_after=1.0)
    for i in range(3):
        tracker.update(detections((0, A), *[(1, B)] if i == 2 else []), i * 0.1)
    assert ids(tracker.clear()) == [1]
    assert tracker.clear() == []
