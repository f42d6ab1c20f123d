"""Discovery messages against the fields of Home Assistant's documentation."""

from __future__ import annotations

import json
import re

from device_apps.events.mqtt.home_assistant import discovery_messages, topic_name, topic_names

# Home Assistant, "MQTT" (discovery messages), "MQTT binary sensor", "MQTT sensor": the options of each that are used
# here.
COMMON = {"availability_topic", "payload_available", "payload_not_available", "device", "origin", "name", "unique_id"}
COMMON |= {"state_topic", "icon", "device_class"}
FIELDS = {
    "binary_sensor": COMMON | {"payload_on", "payload_off"},
    "sensor": COMMON | {"state_class", "unit_of_measurement"},
}
DEVICE = {"identifiers", "name", "manufacturer", "model", "sw_version"}
ORIGIN = {"name", "sw_version", "support_url"}
TOPIC = re.compile(r"homeassistant/(binary_sensor|sensor)/([a-zA-Z0-9_-]+)/([a-zA-Z0-9_-]+)/config")


def messages_for(*labels: str, prefix: str = "home/front door") -> dict[str, dict]:
    messages = {}
    for label, name in topic_names(labels).items():
        messages |= discovery_messages(
            label,
            name,
            camera="home front door",
            prefix=prefix,
            discovery_prefix="homeassistant",
            availability_topic=f"{prefix}/availability",
        )
    return {topic: json.loads(payload) for topic, payload in messages.items()}


def test_discovery_messages_have_documented_topics_and_fields() -> None:
    messages = messages_for("banana", "Ripe Äpfel")
    assert len(messages) == 4
    for topic, payload in messages.items():
        match = TOPIC.fullmatch(topic)
        assert match is not None, topic
        assert set(payload) <= FIELDS[match[1]]
        assert set(payload) >= {"name", "unique_id", "state_topic", "device", "origin", "availability_topic"}
        assert set(payload["device"]) <= DEVICE
        assert payload["device"]["identifiers"]
        assert set(payload["origin"]) <= ORIGIN
        assert payload["origin"]["name"]


def test_discovery_messages_describe_presence_and_count() -> None:
    presence, count = messages_for("banana").values()
    assert presence["state_topic"] == "home/front door/banana/present"
    assert (presence["payload_on"], presence["payload_off"], presence["device_class"]) == ("ON", "OFF", "occupancy")
    assert (count["state_topic"], count["state_class"]) == ("home/front door/banana/count", "measurement")
    for payload in (presence, count):
        assert payload["availability_topic"] == "home/front door/availability"
        assert (payload["payload_available"], payload["payload_not_available"]) == ("online", "offline")


def test_discovery_messages_share_a_device_and_have_unique_ids() -> None:
    payloads = [*messages_for("banana", "apple").values(), *messages_for("banana", prefix="other").values()]
    assert len({payload["unique_id"] for payload in payloads}) == len(payloads) == 6
    assert len({json.dumps(payload["device"]["identifiers"]) for payload in payloads}) == 2


def test_topic_name_replaces_invalid_characters() -> None:
    texts = ["banana", "Ripe Banana", "Äpfel / 2", "日本", "a-b_c"]
    assert [topic_name(text) for text in texts] == ["banana", "ripe_banana", "pfel_2", "object", "a-b_c"]


def test_topic_names_are_unique() -> None:
    assert topic_names(["日本", "中国", "object", "Object!"]) == {
        "日本": "object",
        "中国": "object_2",
        "object": "object_3",
        "Object!": "object_4",
    }
    assert topic_names(["a", "A", "a 2"]) == {"a": "a", "A": "a_2", "a 2": "a_2_2"}
