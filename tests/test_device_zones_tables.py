"""Zones, lines and masks from tables, valid or not, and back."""

from __future__ import annotations

from typing import Any

import pytest

from device_apps.zones.shapes import Filter, Line, Mask, Zone, ZoneSet
from device_apps.zones.tables import check_labels, parse_zones, to_tables
from edge_ssd.errors import SettingError

TRIANGLE = [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]


def zone(**more: Any) -> dict[str, list[dict[str, Any]]]:
    return {"zones": [{"name": "gate", "points": TRIANGLE, **more}]}


def line(**more: Any) -> dict[str, list[dict[str, Any]]]:
    return {"lines": [{"name": "door", "points": TRIANGLE[:2], **more}]}


def test_tables_with_every_key_are_read_and_returned() -> None:
    filtered = {"classes": ["apple"], "anchor": "center", "min_area": 0.01, "max_area": 0.5, "margin": 0.0}
    tables = {
        "zones": [{"name": "gate", "points": TRIANGLE, **filtered, "enter_after": 5.0}],
        "lines": [{"name": "door", "points": TRIANGLE[:2], **filtered}],
        "masks": [{"name": "mask 1", "points": TRIANGLE}],
    }
    parsed = parse_zones(tables)
    assert parsed.problems == []
    (gate,) = parsed.shapes.zones
    assert gate.filter == Filter(("apple",), "center", 0.01, 0.5, 0.0)
    assert gate.enter_after == 5.0
    assert to_tables(parsed.shapes) == tables


def test_keys_may_have_hyphens_and_defaults_are_left_out() -> None:
    parsed = parse_zones({**zone(**{"min-area": 0.1, "enter-after": 0}), "masks": [{"points": TRIANGLE}]})
    assert parsed.problems == []
    masks = [{"name": "mask 1", "points": TRIANGLE}]
    assert to_tables(parsed.shapes) == {**zone(min_area=0.1), "lines": [], "masks": masks}
    assert not ZoneSet()


BAD: list[tuple[dict[str, Any], str]] = [
    (zone(points=TRIANGLE[:2]), "zone 'gate': a polygon needs at least 3 points, got 2"),
    (zone(points=[]), "zone 'gate': a polygon needs at least 3 points, got 0"),
    (zone(points=[[0, 0], [1, 1], [1, 0], [0, 1]]), "zone 'gate': the polygon crosses itself (edge 1 and edge 3)"),
    (zone(points=[[0, 0], [0.5, 0.5], [1, 1]]), "zone 'gate': all points are on one line"),
    (zone(points=[*TRIANGLE, TRIANGLE[0]]), "zone 'gate': points 4 and 1 are the same; remove one"),
    (zone(points=[[0.1, 0.1], [0.9, 1.2], [0.5, 0.9]]), "zone 'gate': y of point 2 must be from 0 to 1"),
    (zone(points=[[-0.1, 0.1], [0.9, 0.2], [0.5, 0.9]]), "zone 'gate': x of point 1 must be from 0 to 1"),
    (zone(points=[[float("nan"), 0.1], [0.9, 0.2], [0.5, 0.9]]), "zone 'gate': x of point 1 must be"),
    (zone(points=[[10**400, 0.1], [0.9, 0.2], [0.5, 0.9]]), "zone 'gate': x of point 1 must be"),
    (zone(points=[["0", 0.1], [0.9, 0.2], [0.5, 0.9]]), "zone 'gate': x of point 1 must be"),
    (zone(points=[[True, 0.1], [0.9, 0.2], [0.5, 0.9]]), "zone 'gate': x of point 1 must be"),
    (zone(points=[[0.1, 0.1, 0.2], [0.9, 0.2], [0.5, 0.9]]), "zone 'gate': points must be a list of [x, y]"),
    (zone(points="0,0 1,1"), "zone 'gate': points must be a list of [x, y]"),
    (zone(points=TRIANGLE * 34), "zone 'gate': there are 102 points; at most 100 are allowed"),
    ({"zones": [{"name": "gate"}]}, "zone 'gate': points are missing"),
    ({"zones": [{"points": TRIANGLE}]}, "zone 1: name is missing"),
    (zone(name=""), "zone 1: a name is missing"),
    (zone(name="\u200b \ufeff"), "a name is missing"),
    (zone(name=7), "zone 1: name must be text"),
    (zone(name="a\nb"), r"zone 'a\nb': the name 'a\nb' has a control character"),
    (zone(name="x" * 65), "the name has 65 characters; at most 64"),
    (zone(classes=[]), "zone 'gate': classes must have at least one label"),
    (zone(classes="banana"), "zone 'gate': classes must be a list of labels"),
    (zone(anchor="top"), "zone 'gate': anchor must be foot or center, got 'top'"),
    (zone(min_area=0.5, max_area=0.5), "zone 'gate': min-area must be under max-area, got 0.5 and 0.5"),
    (zone(max_area=2), "zone 'gate': max-area must be a number from 0 to 1, got 2"),
    (zone(margin=True), "zone 'gate': margin must be a number from 0 to 1, got True"),
    (zone(enter_after=-1), "zone 'gate': enter-after must be seconds from 0 to 86400, got -1"),
    (zone(enter_afer=1), "zone 'gate': unknown key 'enter_afer' (did you mean enter-after?)"),
    ({"zones": [[1]]}, "zone 1: must be a table with name and points"),
    ({"zones": {"gate": TRIANGLE}}, "zones must be a list of tables, as [[zones]] begins one"),
    (line(points=TRIANGLE), "line 'door': a line has 2 points, got 3"),
    (line(points=[[0.1, 0.1], [0.1, 0.1]]), "line 'door': the two points of a line must differ"),
    (line(enter_after=1), "line 'door': unknown key 'enter_after'"),
    ({"masks": [{"points": TRIANGLE[:2]}]}, "mask 1: a polygon needs at least 3 points, got 2"),
    ({"masks": [{"points": TRIANGLE, "classes": ["banana"]}]}, "mask 1: unknown key 'classes'"),
    ({"zones": [{"name": f"{i}", "points": TRIANGLE} for i in range(101)]}, "there are over 100 zones"),
]


@pytest.mark.parametrize(("tables", "message"), BAD, ids=[message[:50] for _, message in BAD])
def test_invalid_table_is_one_problem_of_one_line(tables: dict[str, Any], message: str) -> None:
    (problem,) = parse_zones(tables).problems
    assert message in problem.message
    assert "\n" not in problem.message
    assert len(problem.message) < 300


def test_invalid_tables_leave_the_others() -> None:
    gate = {"name": "gate", "points": TRIANGLE}
    parsed = parse_zones({"zones": [{"name": "a"}, gate, gate, {"name": "b", "points": TRIANGLE}]})
    assert [zone.name for zone in parsed.shapes.zones] == ["gate", "b"]
    assert [(problem.number, problem.message.partition(";")[0]) for problem in parsed.problems] == [
        (0, "zone 'a': points are missing, such as points = [[0.1, 0.5], [0.9, 0.5], [0.5, 1.0]]"),
        (2, "zone 'gate': an earlier one has this name"),
    ]
    assert parsed.numbers == {("zones", "gate"): 1, ("zones", "b"): 3}


def test_names_of_a_set_are_unique() -> None:
    gate = Zone("gate", ((0, 0), (1, 0), (0, 1)))
    with pytest.raises(SettingError, match="2 zones have the name 'gate'"):
        ZoneSet((gate, gate))
    assert ZoneSet((gate,), (Line("gate", ((0, 0), (1, 0))),), (Mask("gate", gate.points),))


def test_unknown_classes_are_problems_and_accents_have_two_forms() -> None:
    tables = {**zone(classes=["cafe\u0301"]), **line(classes=["banan"])}
    checked = check_labels(parse_zones(tables), ["banana", "caf\u00e9"])
    assert [zone.name for zone in checked.shapes.zones] == ["gate"]
    assert checked.shapes.zones[0].filter.selected(["banana", "caf\u00e9"]) == ["caf\u00e9"]
    assert checked.shapes.lines == ()
    assert [problem.message for problem in checked.problems] == [
        "line 'door': there is no class 'banan' (did you mean banana?)"
    ]
