"""MQTT discovery messages, which add a camera to Home Assistant automatically.

Each label has a binary sensor (is an object present?) and a sensor (how many?), all of one device. Source: Home
Assistant, "MQTT" integration, MQTT discovery; "MQTT binary sensor"; "MQTT sensor".
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from edge_ssd.version import __version__

__all__ = ["discovery_messages", "topic_name", "topic_names"]


def topic_name(text: str) -> str:
    """Return ``text`` as a part of a discovery topic: lower case, all but a–z, 0–9, _ and - replaced by _."""
    return re.sub(r"[^a-z0-9_-]+", "_", text.lower()).strip("_") or "object"


def topic_names(labels: Sequence[str]) -> dict[str, str]:
    """Return a unique topic name for each label; appending labels does not change the names of the first ones."""
    names: dict[str, str] = {}
    for label in labels:
        name = stem = topic_name(label)
        number = 1
        while name in names.values():
            number += 1
            name = f"{stem}_{number}"
        names[label] = name
    return names


def discovery_messages(
    label: str, name: str, *, camera: str, prefix: str, discovery_prefix: str, availability_topic: str
) -> dict[str, str]:
    """Return the retained messages that announce the two sensors of a label: JSON payloads by topic.

    Args:
        name: of the label in topics, see :func:`topic_names`.
        camera: name of the device in Home Assistant.
        prefix: topic prefix of the states; the value of ``availability_topic`` is "online" or "offline".
        discovery_prefix: topic prefix of discovery; Home Assistant's default is "homeassistant".
    """
    node = topic_name(prefix)
    common = {
        "availability_topic": availability_topic,
        "payload_available": "online",
        "payload_not_available": "offline",
        "device": {
            "identifiers": [f"edge_ssd_{node}"],
            "name": camera,
            "manufacturer": "Edge SSD",
            "model": "object detector",
            "sw_version": __version__,
        },
        "origin": {"name": "Edge SSD", "sw_version": __version__},
    }
    sensors = [
        ("binary_sensor", "present", label, {"payload_on": "ON", "payload_off": "OFF", "device_class": "occupancy"}),
        ("sensor", "count", f"{label} count", {"state_class": "measurement", "icon": "mdi:counter"}),
    ]
    return {
        f"{discovery_prefix}/{component}/edge_ssd_{node}/{name}_{state}/config": json.dumps(
            {
                "name": sensor_name,
                "unique_id": f"edge_ssd_{node}_{name}_{state}",
                "state_topic": f"{prefix}/{name}/{state}",
                **own,
                **common,
            }
        )
        for component, state, sensor_name, own in sensors
    }
