"""Retained topics of zones and lines, and their sensors in Home Assistant.

PREFIX/zones/ZONE/LABEL/present   ON or OFF
PREFIX/zones/ZONE/LABEL/count     number of objects that are in the zone
PREFIX/zones/ZONE/LABEL/dwell     seconds since the first of them entered it, in steps of five; 0 for none
PREFIX/zones/ZONE/LABEL/visits    number of objects that have entered the zone
PREFIX/lines/LINE/LABEL/in        number of crossings, in and out
PREFIX/lines/LINE/LABEL/out
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from device_apps.events.mqtt.home_assistant import topic_name, topic_names

__all__ = ["ZoneTopics"]

_DWELL_STEP_S = 5  # A message each second for every zone would fill Home Assistant's database.

_PRESENCE = {"payload_on": "ON", "payload_off": "OFF", "device_class": "occupancy"}
_COUNT = {"state_class": "measurement", "icon": "mdi:counter"}
_DWELL = {"state_class": "measurement", "device_class": "duration", "unit_of_measurement": "s"}
_TOTAL = {"state_class": "total_increasing", "icon": "mdi:counter"}


class _Sensor(NamedTuple):
    """State of a zone or line: its topic, its value, and what Home Assistant shows of it."""

    topic: str
    payload: str
    component: str
    name: str
    fields: dict[str, str]


class ZoneTopics:
    """Messages of the topics of zones and lines.

    Args:
        labels: of the detector, which determine their names in topics.
        prefix, discovery_prefix, common: see :func:`~device_apps.events.mqtt.home_assistant.discovery_messages`; no
            discovery prefix announces nothing.
    """

    def __init__(
        self, labels: Sequence[str], prefix: str, *, discovery_prefix: str | None, common: dict[str, Any]
    ) -> None:
        self._labels = topic_names(labels)
        self._prefix = prefix
        self._discovery_prefix = discovery_prefix
        self._common = common
        self._topics: set[str] = set()  # that were returned and not deleted

    def add_labels(self, labels: Sequence[str]) -> None:
        """Add labels of another model; the names of the known ones stay."""
        self._labels = topic_names([*self._labels, *labels])

    def messages(self, counts: dict[str, Any]) -> dict[str, str]:
        """Return the payloads, by topic, of counts and of their discovery; an empty payload deletes a former topic."""
        messages: dict[str, str] = {}
        for sensor in self._sensors(counts):
            if self._discovery_prefix is not None:
                topic, payload = self._announce(sensor)
                messages[topic] = payload
            messages[sensor.topic] = sensor.payload
        deleted = self._topics - messages.keys()
        self._topics = set(messages)
        return {**dict.fromkeys(deleted, ""), **messages}

    def _sensors(self, counts: dict[str, Any]) -> Iterator[_Sensor]:
        for zone, label, row, base in self._rows("zones", counts["zones"]):
            name = f"{zone} {label}"
            present = "ON" if row["present"] else "OFF"
            dwell = int(row["dwell_s"]) // _DWELL_STEP_S * _DWELL_STEP_S
            yield _Sensor(f"{base}/present", present, "binary_sensor", name, _PRESENCE)
            yield _Sensor(f"{base}/count", str(row["count"]), "sensor", f"{name} count", _COUNT)
            yield _Sensor(f"{base}/dwell", str(dwell), "sensor", f"{name} dwell time", _DWELL)
            yield _Sensor(f"{base}/visits", str(row["visits"]), "sensor", f"{name} visits", _TOTAL)
        for line, label, row, base in self._rows("lines", counts["lines"]):
            for direction in ("in", "out"):
                name = f"{line} {label} {direction}"
                yield _Sensor(f"{base}/{direction}", str(row[direction]), "sensor", name, _TOTAL)

    def _rows(self, kind: str, counts: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], str]]:
        """Yield name, label, counts and topic of each zone or line and each of its labels."""
        names = topic_names(sorted(counts))  # A name must not depend on the order in the file.
        for name, rows in counts.items():
            for label, row in rows.items():
                yield name, label, row, f"{self._prefix}/{kind}/{names[name]}/{self._labels[label]}"

    def _announce(self, sensor: _Sensor) -> tuple[str, str]:
        node = topic_name(self._prefix)
        own = sensor.topic.removeprefix(f"{self._prefix}/").replace("/", "_")
        topic = f"{self._discovery_prefix}/{sensor.component}/edge_ssd_{node}/{own}/config"
        identity = {"name": sensor.name, "unique_id": f"edge_ssd_{node}_{own}", "state_topic": sensor.topic}
        return topic, json.dumps({**identity, **sensor.fields, **self._common})
