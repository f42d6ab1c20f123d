"""The tracker, against literals worked out by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from event_factory import detections
from hypothesis import given
from hypothesis import strategies as st

from device_apps.events.association import associate, associate_in_turn
from device_apps.events.delay import Delay
from device_apps.events.motion import Motion
from device_apps.events.tracker import TRACKERS, Track, Tracker, TrackerKind
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


@pytest.mark.parametrize("kind", TRACKERS)
def test_objects_stay_the_same_with_a_model_of_other_labels(kind: TrackerKind) -> None:
    tracker = Tracker(enter_after=0.0, leave_after=0.2, kind=kind)
    show(tracker, 2, (0, A), (1, B))
    tracker.model_replaced(["kiwi", "banana"])
    for i in range(3, 8):  # A is still a banana, whose class id is 1 now; B is a kiwi.
        changes = tracker.update(detections((1, A), (0, B)), i * 0.1)
        if changes.left:
            assert [(track.object_id, track.label, i) for track in changes.left] == [(2, "apple", 3)]
    assert [(track.object_id, track.box) for track in tracker.present] == [(1, A), (3, B)]


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


def moving(tracker: Tracker, *paths: list[tuple[float, float] | None]) -> list[list[int | None]]:
    """Show objects of 20×20 pixels at these centers, at ten frames per second; return the numbers of each object."""
    numbers: list[list[int | None]] = [[] for _ in paths]
    for frame, centers in enumerate(zip(*paths, strict=True)):
        shown = [(0, (x - 10, y - 10, x + 10, y + 10)) for x, y in (center for center in centers if center)]
        tracker.update(detections(*shown), frame * 0.1)
        for number, center in zip(numbers, centers, strict=True):
            corner = center and (center[0] - 10, center[1] - 10)
            found = [track.key for track in tracker.tracks if track.misses == 0 and track.box[:2] == corner]
            number.append(found[0] if found else None)
    return numbers


def test_motion_tracker_keeps_objects_that_cross() -> None:
    """One moves to the right, one to the left; while they meet, only one box is found."""
    steps = range(21)
    right = [(20.0 + 8 * i, 50.0) for i in steps]
    left = [None if 8 <= i <= 12 else (180.0 - 8 * i, 50.0) for i in steps]
    first, second = moving(Tracker(0.1, 2.0, kind="motion"), right, left)
    assert set(first) == {1}
    assert set(second) == {2, None}
    plain = moving(Tracker(0.1, 2.0), right, left)
    assert len({*plain[0]}) > 1 or {*plain[1]} != {2, None}


def test_motion_tracker_keeps_an_object_behind_another_thing() -> None:
    path = [None if 6 <= i <= 14 else (10.0 + 8 * i, 50.0) for i in range(22)]
    (numbers,) = moving(Tracker(0.1, 2.0, kind="motion"), path)
    assert set(numbers) == {1, None}
    assert len(set(moving(Tracker(0.1, 2.0), path)[0])) > 2


def test_motion_tracker_keeps_an_object_that_moves_by_more_than_its_size() -> None:
    path: list[tuple[float, float] | None] = [(10.0 + 25 * i, 50.0) for i in range(8)]
    assert set(moving(Tracker(0.1, 2.0, kind="motion"), path)[0]) == {1}
    assert len(set(moving(Tracker(0.1, 2.0), path)[0])) == 8


def test_motion_tracker_keeps_an_object_that_stops_or_turns() -> None:
    stop: list[tuple[float, float] | None] = [(min(10.0 + 12 * i, 100), 30.0) for i in range(20)]
    turn: list[tuple[float, float] | None] = [(100 - abs(100 - 12.0 * i), 70.0) for i in range(20)]
    first, second = moving(Tracker(0.1, 2.0, kind="motion"), stop, turn)
    assert (set(first), set(second)) == ({1}, {2})


def test_motion_is_that_of_an_object_with_constant_velocity() -> None:
    motion = Motion.of((0.1, 0.1, 0.2, 0.3), 5.0)
    assert motion.predict(9.0) == pytest.approx((0.1, 0.1, 0.2, 0.3))
    for i in range(1, 6):
        motion.update((0.1 + 0.02 * i, 0.1 - 0.01 * i, 0.2 + 0.02 * i, 0.3 - 0.01 * i), 5.0 + 0.1 * i)
        assert (motion.vx, motion.vy) == pytest.approx((0.2, -0.1))
    assert motion.predict(5.75) == pytest.approx((0.25, 0.025, 0.35, 0.225))
    assert motion.predict(99.0) == motion.predict(6.5)  # At most a second ahead.
    motion.update((0.5, 0.5, 0.6, 0.6), 5.5)  # Two frames with the same time.
    assert (motion.x, motion.y, motion.vx) == pytest.approx((0.55, 0.55, 0.2))


def test_associate_in_turn_matches_what_is_left() -> None:
    predicted, last = boxes((0, 0, 10, 10), (90, 0, 99, 10)), boxes((50, 0, 60, 10), (20, 0, 30, 10))
    now = boxes((20, 0, 30, 10), (0, 0, 10, 10))
    assert associate_in_turn([predicted, last], one_class(2), [now, now], one_class(2), 0.2) == [(0, 1), (1, 0)]
    assert associate_in_turn([predicted], one_class(2), [now[:0]], one_class(0), 0.2) == []
