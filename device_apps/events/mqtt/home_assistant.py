"""MQTT discovery messages, which add a camera to Home Assistant automatically.

Each label has a binary sensor (is an object present?) and a sensor (how many?), all of one device. Source: Home
Assistant, "MQTT" integration, MQTT discovery; "MQTT binary sensor"; "MQTT sensor"; "MQTT image".
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from edge_ssd.version import __version__

__all__ = ["common_fields", "discovery_messages", "topic_name", "topic_names"]

# Latin letters that have no accent to remove.
_LATIN = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i"})


def topic_name(text: str) -> str:
    """Return ``text`` as a part of a discovery topic: a–z, 0–9, _ and -, the same for the same text at any time.

    Letters are in lower case, without accents (é is e); other characters are replaced by _. If these are beyond ASCII,
    as letters of other scripts are, a hash of the text follows, so that two such texts differ.
    """
    text = unicodedata.normalize("NFC", text)
    latin = unicodedata.normalize("NFKD", text.lower().translate(_LATIN))
    letters = "".join(char for char in latin if not unicodedata.combining(char))
    name = re.sub(r"[^a-z0-9_-]+", "_", letters).strip("_")
    if name and letters.isascii():
        return name
    return f"{name or 'object'}_{_digest(text)}"


def topic_names(labels: Sequence[str]) -> dict[str, str]:
    """Return a unique topic name for each label; appending labels does not change the names of the first ones.

    A name that an earlier label has is followed by a hash of the label.
    """
    names: dict[str, str] = {}
    used: set[str] = set()
    for label in dict.fromkeys(labels):
        name = topic_name(label)
        names[label] = f"{name}_{_digest(label)}" if name in used else name
        used.add(names[label])
    return names


def _digest(text: str) -> str:
    return hashlib.sha256(unicodedata.normalize("NFC", text).encode()).hexdigest()[:8]


def discovery_messages(
    label: str, name: str, prefix: str, discovery_prefix: str, common: dict[str, Any]
) -> dict[str, str]:
    """Return the retained messages that announce the two sensors of a label: JSON payloads by topic.

    Args:
        name: of the label in topics, see :func:`topic_names`.
        prefix: topic prefix of the states.
        discovery_prefix: topic prefix of discovery; Home Assistant's default is "homeassistant".
        common: see :func:`common_fields`.
    """
    node = topic_name(prefix)
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


def common_fields(*, camera: str, prefix: str, availability_topic: str, page: str | None = None) -> dict[str, Any]:
    """Return the fields that all entities of a camera have: its device and its availability.

    Args:
        camera: name of the device in Home Assistant.
        prefix: topic prefix of the states; the value of ``availability_topic`` is "online" or "offline".
        page: URL of the camera's web page, to which the device links; None for none.
    """
    return {
        "availability_topic": availability_topic,
        "payload_available": "online",
        "payload_not_available": "offline",
        "device": {
            "identifiers": [f"edge_ssd_{topic_name(prefix)}"],
            "name": camera,
            "manufacturer": "Edge SSD",
            "model": "object detector",
            "sw_version": __version__,
            **({} if page is None else {"configuration_url": f"{page}/"}),
        },
        "origin": {"name": "Edge SSD", "sw_version": __version__},
    }
