"""Events of zones, their counts in a file and over MQTT, with real files and payloads."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from clocks import wait_until
from event_factory import ListPublisher, result
from test_device_events_mqtt_home_assistant import DEVICE, FIELDS, TOPIC

from device_apps.events.counts_file import CountsFile
from device_apps.events.emitter import EventEmitter
from device_apps.events.event_payload import event_payload, is_event_payload
from device_apps.events.mqtt.home_assistant import common_fields
from device_apps.events.mqtt.zone_topics import ZoneTopics
from device_apps.events.tracker import Tracker
from device_apps.zones.active_zones import ActiveZones
from device_apps.zones.monitor import ZoneMonitor
from device_apps.zones.totals import Totals
from edge_ssd.errors import EdgeSSDError

LABELS = ("banana", "apple")
TABLES = {
    "zones": [{"name": "left", "points": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}],
    "lines": [{"name": "door", "points": [[0, 0.5], [1, 0.5]]}],
}


def monitor() -> ZoneMonitor:
    active = ActiveZones(None, TABLES)
    active.check(LABELS)
    return ZoneMonitor(active, LABELS)


def box(step: int) -> tuple[float, float, float, float]:
    """Down through the door and to the right, out of the zone, in an image of 200×100 pixels."""
    x, y = (50.0, 20.0 + 10 * step) if step < 6 else (50.0 + 20 * (step - 5), 70.0)
    return x - 25, y - 40, x + 25, y


def test_zones_give_events_in_order_and_counts(tmp_path: Path) -> None:
    publisher, counts = ListPublisher(), []
    zones = monitor()
    kept = CountsFile(tmp_path / "counts.json")
    zones.totals = kept.totals
    emitter = EventEmitter([publisher], tracker=Tracker(0.1, 2.0), zones=zones, counts_file=kept)
    emitter.subscribe_counts(counts.append)
    with emitter:
        for step in range(10):
            emitter.write(result(step * 0.2, step, (0, box(step))))
    assert [event.kind for event in publisher.events] == [
        "enter",
        "zone_enter",
        "line_cross",
        "zone_leave",
        "leave",
    ]
    _, entered, crossed, left, _ = (event.to_dict() for event in publisher.events)
    assert (entered["zone"], "dwell_s" in entered, "line" in entered) == ("left", False, False)
    assert (crossed["line"], crossed["direction"], "zone" in crossed) == ("door", "in", False)
    assert (left["zone"], left["dwell_s"]) == ("left", 1.4)
    assert all(is_event_payload(event_payload(event)) for event in publisher.events)
    assert counts[-1]["zones"]["left"]["banana"] == {"present": False, "count": 0, "dwell_s": 0.0, "visits": 1}
    assert CountsFile(tmp_path / "counts.json").totals.crossings == {"door": {"banana": [1, 0]}}


def test_objects_that_leave_the_view_leave_their_zones_before() -> None:
    publisher = ListPublisher()
    with EventEmitter([publisher], tracker=Tracker(0.1, 0.5), zones=monitor()) as emitter:
        for step in range(3):
            emitter.write(result(step * 0.2, step, (0, box(0))))
        for step in range(3, 8):
            emitter.write(result(step * 0.2, step))
    assert [event.kind for event in publisher.events] == ["enter", "zone_enter", "zone_leave", "leave"]
    assert publisher.events[2].dwell_s == pytest.approx(0.4)


def test_broker_that_hangs_at_the_end_costs_no_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("device_apps.events.emitter._FLUSH_SECONDS", 0.2)
    publisher, kept = ListPublisher(), CountsFile(tmp_path / "counts.json", check=False)
    monkeypatch.setattr(publisher, "close", lambda deadline: time.sleep(max(0.0, deadline - time.monotonic())))
    with EventEmitter([publisher], tracker=Tracker(0.1, 2.0), zones=monitor(), counts_file=kept) as emitter:
        kept.totals.add_visit("gate", "banana")
        emitter.write(result(0.0, 0, (0, box(0))))
        kept.totals.add_visit("gate", "banana")
    assert caplog.messages == []
    assert CountsFile(tmp_path / "counts.json").totals.visits == {"gate": {"banana": 2}}


def test_counts_are_written_at_most_every_five_seconds_and_at_the_end(tmp_path: Path) -> None:
    path, now = tmp_path / "deep" / "counts.json", [100.0]
    kept = CountsFile(path, clock=lambda: now[0])
    for now[0] in (100.0, 101.0, 104.9):
        kept.totals.add_visit("gate", "banana")
        kept.update()
    wait_until(lambda: "gate" in path.read_text())
    assert json.loads(path.read_text())["zones"] == {"gate": {"banana": 1}}
    now[0] = 105.0
    kept.update()
    wait_until(lambda: json.loads(path.read_text())["zones"] == {"gate": {"banana": 3}})
    kept.totals.add_visit("gate", "banana")
    kept.close(time.monotonic() + 5)
    kept.close(time.monotonic() + 5)
    assert CountsFile(path).totals.visits == {"gate": {"banana": 4}}
    assert [file.name for file in path.parent.iterdir()] == ["counts.json"]


def test_counts_of_many_names_can_be_read_again() -> None:
    """A program may save zones under ever new names."""
    totals = Totals()
    for number in range(1200):
        totals.add_visit(f"zone {number}", "banana")
        totals.add_visit("door", "banana")
        totals.add_crossing(f"line {number}", "banana", "in")
    again = Totals.from_json(totals.to_json())
    assert (len(again.visits), again.visits["door"], len(again.crossings)) == (1000, {"banana": 1200}, 1000)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b'{"version": 1'])
def test_damaged_counts_are_kept_aside(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "counts.json"
    path.write_bytes(content)
    assert CountsFile(path).totals.visits == {}
    (message,) = caplog.messages
    assert message.startswith(f"{path}: is not ")
    assert message.endswith("; renamed to counts.json.damaged, counts start from 0")
    assert (tmp_path / "counts.json.damaged").read_bytes() == content


def test_counts_that_cannot_be_kept_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgeSSDError, match=r"cannot .*; name another file with --counts-file"):
        CountsFile(tmp_path / "file" / "counts.json")
    with pytest.raises(EdgeSSDError, match=r"cannot be read: .*; name another file with --counts-file"):
        CountsFile(tmp_path)


def topics(discovery_prefix: str | None = "homeassistant") -> ZoneTopics:
    common = common_fields(camera="Front door", prefix="home/door", availability_topic="home/door/availability")
    return ZoneTopics(LABELS, "home/door", discovery_prefix=discovery_prefix, common=common)


def test_labels_of_another_model_have_topics_too() -> None:
    followed = topics(None)
    followed.add_labels(["kiwi", "banana"])
    counts = {"zones": {}, "lines": {"gate": {"kiwi": {"in": 3, "out": 1}, "banana": {"in": 2, "out": 0}}}}
    assert followed.messages(counts) == {
        "home/door/lines/gate/kiwi/in": "3",
        "home/door/lines/gate/kiwi/out": "1",
        "home/door/lines/gate/banana/in": "2",
        "home/door/lines/gate/banana/out": "0",
    }


def test_states_of_zones_and_lines_are_retained_topics() -> None:
    row = {"present": True, "count": 2, "dwell_s": 14.9, "visits": 7}
    counts = {"zones": {"Hof Ä": {"banana": row}}, "lines": {"gate": {"apple": {"in": 3, "out": 1}}}}
    assert topics(None).messages(counts) == {
        "home/door/zones/hof_a/banana/present": "ON",
        "home/door/zones/hof_a/banana/count": "2",
        "home/door/zones/hof_a/banana/dwell": "10",
        "home/door/zones/hof_a/banana/visits": "7",
        "home/door/lines/gate/apple/in": "3",
        "home/door/lines/gate/apple/out": "1",
    }


def test_discovery_of_zones_has_documented_fields_and_ends_with_the_zone() -> None:
    zone_topics, counts = topics(), monitor().counts()
    messages = zone_topics.messages(counts)
    configs = {topic: json.loads(payload) for topic, payload in messages.items() if topic.endswith("/config")}
    assert len(configs) == 12 == len(messages) / 2
    for topic, payload in configs.items():
        match = TOPIC.fullmatch(topic)
        assert match is not None, topic
        assert set(payload) <= FIELDS[match[1]]
        assert set(payload["device"]) <= DEVICE
        assert payload["state_topic"] in messages
    assert len({payload["unique_id"] for payload in configs.values()}) == 12
    assert len({payload["name"] for payload in configs.values()}) == 12
    fewer = zone_topics.messages({"zones": {}, "lines": counts["lines"]})
    assert [payload for topic, payload in fewer.items() if "zones" in topic] == [""] * 16
    assert not any("zones" in topic for topic in zone_topics.messages({"zones": {}, "lines": counts["lines"]}))
