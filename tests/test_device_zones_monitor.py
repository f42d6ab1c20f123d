"""Objects in zones and across lines, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_apps.zones.active_zones import ActiveZones
from device_apps.zones.monitor import ZoneChange, ZoneMonitor
from device_apps.zones.totals import Totals
from edge_ssd.errors import DataError

SIZE = (100, 200)  # (height, width)
LABELS = ("banana", "apple")
LEFT = {"name": "left", "points": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
DOOR = {"name": "door", "points": [[0, 0.5], [1, 0.5]]}  # Downwards is in.
EXACT = {"margin": 0.0}


@dataclass
class Thing:
    """Object of a tracker: its foot (x, y) in pixels, and the size of its box."""

    x: float
    y: float
    label: str = "banana"
    key: int = 1
    object_id: int = 1
    misses: int = 0
    size: float = 10

    @property
    def box(self) -> tuple[float, float, float, float]:
        return self.x - self.size / 2, self.y - self.size, self.x + self.size / 2, self.y


def monitor(*, totals: Totals | None = None, **tables: Any) -> ZoneMonitor:
    active = ActiveZones(None, tables)
    active.check(LABELS)
    assert active.problems == []
    return ZoneMonitor(active, LABELS, totals)


def summary(changes: list[ZoneChange]) -> list[tuple]:
    values = [(c.kind, c.name, c.track.object_id, c.direction or c.dwell_s) for c in changes]
    return [value[:3] if value[3] is None else value for value in values]


def walk(watch: ZoneMonitor, *feet: tuple[float, float], object_id: int = 1, **more: Any) -> list[tuple]:
    """Move one object, a step each second; return all changes."""
    changes = []
    for second, (x, y) in enumerate(feet):
        changes += watch.update([Thing(x, y, object_id=object_id, **more)], float(second), SIZE)
    return summary(changes)


def test_object_enters_and_leaves_a_zone_with_its_dwell_time() -> None:
    watch = monitor(zones=[LEFT])
    assert walk(watch, (150, 50), (90, 50), (50, 50), (20, 50), (120, 50)) == [
        ("zone_enter", "left", 1),
        ("zone_leave", "left", 1, 2.0),
    ]
    assert watch.totals.visits == {"left": {"banana": 1}}


def test_counts_have_presence_number_and_dwell_of_each_class() -> None:
    watch = monitor(zones=[LEFT], lines=[DOOR])
    watch.update([Thing(50, 20, key=1)], 10.0, SIZE)
    things = [Thing(50, 20, key=1), Thing(30, 30, key=2, object_id=2), Thing(30, 30, "apple", key=3, object_id=0)]
    watch.update(things, 12.5, SIZE)
    assert watch.counts() == {
        "zones": {
            "left": {
                "banana": {"present": True, "count": 2, "dwell_s": 2.5, "visits": 2},
                "apple": {"present": False, "count": 0, "dwell_s": 0.0, "visits": 0},
            }
        },
        "lines": {"door": {"banana": {"in": 0, "out": 0}, "apple": {"in": 0, "out": 0}}},
    }


def test_object_on_an_edge_is_inside() -> None:
    assert walk(monitor(zones=[LEFT | EXACT]), (100, 50)) == [("zone_enter", "left", 1)]
    assert walk(monitor(zones=[LEFT | EXACT]), (100.01, 50)) == []


def test_object_that_trembles_on_an_edge_enters_once() -> None:
    """The box of 10 pixels has a margin of one pixel."""
    feet = [(99.5, 50), (100.5, 50)] * 10
    assert walk(monitor(zones=[LEFT]), *feet) == [("zone_enter", "left", 1)]
    assert len(walk(monitor(zones=[LEFT | EXACT]), *feet)) == 20
    assert walk(monitor(zones=[LEFT]), (99.5, 50), (101.5, 50))[1:] == [("zone_leave", "left", 1, 0.0)]


def test_enter_after_needs_that_time_inside() -> None:
    watch = monitor(zones=[LEFT | {"enter_after": 2}])
    assert walk(watch, (50, 50), (50, 50), (150, 50)) == []
    assert walk(watch, (50, 50), (50, 50), (50, 50), (150, 50)) == [
        ("zone_enter", "left", 1),
        ("zone_leave", "left", 1, 2.0),
    ]


@pytest.mark.parametrize(
    ("feet", "expected"),
    [
        ([(50, 40), (50, 60)], ["in"]),
        ([(50, 60), (50, 40)], ["out"]),
        ([(50, 0), (150, 100)], ["in"]),  # A jump from edge to edge.
        ([(50, 40), (50, 60), (50, 40)], ["in", "out"]),
        ([(50, 40), (50, 50), (50, 60)], ["in"]),  # A frame exactly on the line.
        ([(50, 40), (50, 50), (50, 40)], []),  # It touched the line.
        ([(50, 40), (50, 50), (60, 50), (60, 60)], ["in"]),  # Along it.
        ([(50, 40), (150, 40)], []),
    ],
)
@pytest.mark.parametrize("margin", [0.0, 0.1])
def test_crossings_by_hand(feet: list[tuple[float, float]], expected: list[str], margin: float) -> None:
    watch = monitor(lines=[DOOR | {"margin": margin}])
    assert walk(watch, *feet) == [("line_cross", "door", 1, direction) for direction in expected]
    counted = watch.totals.crossings.get("door", {}).get("banana", [0, 0])
    assert counted == [expected.count("in"), expected.count("out")]


def test_way_around_the_end_of_a_line_is_no_crossing() -> None:
    half = DOOR | {"points": [[0, 0.5], [0.5, 0.5]]}
    assert walk(monitor(lines=[half]), (50, 40), (150, 40), (150, 60), (50, 60)) == []
    assert walk(monitor(lines=[half]), (50, 40), (50, 60), (150, 60), (150, 40), (50, 40)) == [
        ("line_cross", "door", 1, "in")
    ]


def test_object_that_trembles_on_a_line_is_counted_once_it_is_beyond_the_margin() -> None:
    feet = [(50, 40), *[(50, 49.5), (50, 50.5)] * 10, (50, 60)]
    assert walk(monitor(lines=[DOOR]), *feet) == [("line_cross", "door", 1, "in")]
    assert len(walk(monitor(lines=[DOOR | EXACT]), *feet)) == 19


def test_crossing_within_the_margin_counts_when_the_object_leaves() -> None:
    watch = monitor(lines=[DOOR])
    assert walk(watch, (50, 40), (50, 50.5)) == []
    assert summary(watch.remove(Thing(50, 50.5))) == [("line_cross", "door", 1, "in")]
    assert watch.remove(Thing(50, 50.5)) == []


def test_what_an_object_did_before_it_entered_counts_when_it_enters() -> None:
    watch = monitor(zones=[LEFT], lines=[DOOR])
    assert walk(watch, (50, 40), (50, 60), (150, 60), object_id=0) == []
    assert watch.totals.version == 0
    assert walk(watch, (150, 60)) == [
        ("line_cross", "door", 1, "in"),
        ("zone_enter", "left", 1),
        ("zone_leave", "left", 1, 1.0),
    ]


def test_object_that_never_enters_is_forgotten() -> None:
    watch = monitor(lines=[DOOR])
    watch.update([Thing(50, 40, object_id=0)], 0.0, SIZE)
    watch.update([], 1.0, SIZE)
    assert walk(watch, (50, 60)) == []  # A new object with the same key.


def test_object_that_is_not_detected_stays_and_crosses_on_a_straight_line() -> None:
    watch = monitor(zones=[LEFT], lines=[DOOR])
    walk(watch, (50, 40))
    assert watch.update([Thing(50, 40, misses=1)], 5.0, SIZE) == []
    assert watch.counts()["zones"]["left"]["banana"]["count"] == 1
    assert summary(watch.update([Thing(60, 60)], 6.0, SIZE)) == [("line_cross", "door", 1, "in")]


def test_anchor_is_the_foot_or_the_center() -> None:
    """A box of 40 pixels whose foot is below the line and whose center is above it."""
    feet = [(50, 45), (50, 65)]
    center = DOOR | {"name": "center", "anchor": "center"}
    changes = walk(monitor(lines=[DOOR, center], zones=[LEFT | {"anchor": "center"}]), *feet, size=40)
    assert changes == [("zone_enter", "left", 1), ("line_cross", "door", 1, "in")]


def test_classes_and_areas_select_objects() -> None:
    apples = LEFT | {"name": "apples", "classes": ["apple"]}
    large = LEFT | {"name": "large", "min_area": 0.01}  # 200 pixels, of 100×200
    small = LEFT | {"name": "small", "max_area": 0.01}
    watch = monitor(zones=[apples, large, small])
    watch.update([Thing(50, 50, size=10), Thing(50, 90, "apple", 2, 2, size=20)], 0.0, SIZE)
    counts = watch.counts()["zones"]
    assert list(counts["apples"]) == ["apple"]
    assert [counts[name]["apple"]["count"] for name in ("apples", "large", "small")] == [1, 1, 0]
    assert [counts[name]["banana"]["count"] for name in ("large", "small")] == [0, 1]


def test_saved_zones_are_used_with_the_next_frame(tmp_path: Path) -> None:
    watch = monitor(zones=[LEFT, LEFT | {"name": "other"}], lines=[DOOR])
    walk(watch, (50, 40), (50, 60))
    watch.active.path = tmp_path / "zones.toml"
    moved = DOOR | {"points": [[0, 0.9], [1, 0.9]]}
    watch.active.replace({"zones": [LEFT], "lines": [moved], "masks": []})
    assert summary(watch.update([Thing(50, 60)], 2.0, SIZE)) == [("zone_leave", "other", 1, 1.0)]
    assert summary(watch.update([Thing(50, 95)], 3.0, SIZE)) == [("line_cross", "door", 1, "in")]
    assert watch.totals.crossings == {"door": {"banana": [2, 0]}}
    assert watch.counts()["zones"]["left"]["banana"]["dwell_s"] == 3.0
    watch.active.replace({"zones": [], "lines": [], "masks": []})
    assert summary(watch.update([Thing(50, 95)], 4.0, SIZE)) == [("zone_leave", "left", 1, 3.0)]
    assert watch.update([Thing(50, 95)], 5.0, SIZE) == []


def test_many_objects_are_placed_as_each_alone() -> None:
    shapes = {"zones": [LEFT, LEFT | {"name": "b", "anchor": "center"}], "lines": [DOOR, DOOR | {"name": "d"}]}
    things = [
        Thing(x * 10, y * 10, key=x * 100 + y + 1, object_id=x * 100 + y + 1) for x in range(20) for y in range(9)
    ]
    together = monitor(**shapes)
    changes = summary(together.update(things, 0.0, SIZE))
    assert changes == [change for thing in things for change in summary(monitor(**shapes).update([thing], 0.0, SIZE))]
    assert len(changes) > 90


coordinate = st.integers(0, 10).map(lambda value: value * 10.0)


@given(st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=12))
def test_in_less_out_is_the_side_that_an_object_is_on(feet: list[tuple[float, float]]) -> None:
    """A line through the whole image, whatever the path; a point on the line is on its right side when it leaves."""
    watch = monitor(lines=[DOOR | EXACT])
    walk(watch, *feet)
    watch.remove(Thing(*feet[-1]))
    counted = watch.totals.crossings.get("door", {}).get("banana", [0, 0])
    assert counted[0] - counted[1] == (feet[-1][1] >= 50) - (feet[0][1] >= 50)


def test_totals_are_read_as_written() -> None:
    totals = Totals()
    totals.add_visit("hof Ä", "banana")
    totals.add_crossing("door", "apple", "out")
    again = Totals.from_json(totals.to_json())
    assert (again.visits, again.crossings) == ({"hof Ä": {"banana": 1}}, {"door": {"apple": [0, 1]}})
    watch = monitor(lines=[DOOR], totals=again)
    walk(watch, (50, 60), (50, 40), label="apple")
    assert watch.counts()["lines"]["door"]["apple"] == {"in": 0, "out": 2}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "{}", "[" * 10_000, '{"version": 2}', '{"version": 1, "zones": [], "lines": {}}']
    + [
        f'{{"version": 1, "zones": {{}}, "lines": {{"a": {{"b": {value}}}}}}}'
        for value in ("1", "[1]", "[1, -1]", "[1, 1.5]", "[true, 1]", "[1, 1e3]", "[1, NaN]", "[1, 99999999999999999]")
    ],
)
def test_other_text_is_no_file_of_totals(text: str) -> None:
    with pytest.raises(DataError):
        Totals.from_json(text)
