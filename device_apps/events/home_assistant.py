"""What Home Assistant is told, so that a camera appears there by itself.

For each label a binary sensor (is one there?) and a sensor (how many?), all of one device. Source: Home Assistant,
"MQTT" integration, MQTT discovery; "MQTT binary sensor"; "MQTT sensor".
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from edge_ssd.version import __version__

__all__ = ["discovery", "slug", "slugs"]


def slug(text: str) -> str:
    """``text`` in the characters that topics of discovery may have: a–z, 0–9, _ and -."""
    return re.sub(r"[^a-z0-9_-]+", "_", text.lower()).strip("_") or "object"


def slugs(labels: Sequence[str]) -> dict[str, str]:
    """A topic's name for each label; no two are the same, and those of the first ones stay when more are added."""
    names: dict[str, str] = {}
    for label in labels:
        name = stem = slug(label)
        number = 1
        while name in names.values():
            number += 1
            name = f"{stem}_{number}"
        names[label] = name
    return names


def discovery(
    label: str, name: str, *, camera: str, prefix: str, discovery_prefix: str, availability: str
) -> dict[str, str]:
    """Topics and their retained payloads (JSON) that announce one label.

    Args:
        label: as a person reads it.
        name: of the label in topics; see :func:`slugs`.
        camera: what the device is called.
        prefix: of the state topics.
        discovery_prefix: where Home Assistant listens; "homeassistant" unless it was told otherwise.
        availability: the topic that says "online" or "offline".
    """
    node = slug(prefix)
    common = {
        "availability_topic": availability,
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
    presence = {
        "name": label,
        "unique_id": f"edge_ssd_{node}_{name}_present",
        "state_topic": f"{prefix}/{name}/present",
        "payload_on": "ON",
        "payload_off": "OFF",
        "device_class": "occupancy",
        **common,
    }
    count = {
        "name": f"{label} count",
        "unique_id": f"edge_ssd_{node}_{name}_count",
        "state_topic": f"{prefix}/{name}/count",
        "state_class": "measurement",
        "icon": "mdi:counter",
        **common,
    }
    return {
        f"{discovery_prefix}/binary_sensor/edge_ssd_{node}/{name}_present/config": json.dumps(presence),
        f"{discovery_prefix}/sensor/edge_ssd_{node}/{name}_count/config": json.dumps(count),
    }
