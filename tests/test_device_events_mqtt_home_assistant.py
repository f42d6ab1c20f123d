"""Discovery messages against the fields of Home Assistant's documentation."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest

from device_apps.events.mqtt.home_assistant import common_fields, discovery_messages, topic_name, topic_names
from device_apps.events.mqtt.image_topics import ImageTopics

# Home Assistant, "MQTT" (discovery messages), "MQTT binary sensor", "MQTT sensor", "MQTT image": the options of each
# that are used here.
COMMON = {"availability_topic", "payload_available", "payload_not_available", "device", "origin", "name", "unique_id"}
COMMON |= {"icon"}
STATE = {"state_topic", "device_class"}
FIELDS = {
    "binary_sensor": COMMON | STATE | {"payload_on", "payload_off"},
    "sensor": COMMON | STATE | {"state_class", "unit_of_measurement"},
    "image": COMMON | {"image_topic", "content_type", "json_attributes_topic"},
}
DEVICE = {"identifiers", "name", "manufacturer", "model", "sw_version", "configuration_url"}
ORIGIN = {"name", "sw_version", "support_url"}
TOPIC = re.compile(r"homeassistant/(binary_sensor|sensor|image)/([a-zA-Z0-9_-]+)/([a-zA-Z0-9_-]+)/config")


def messages_for(*labels: str, prefix: str = "home/front door", page: str | None = None) -> dict[str, dict]:
    topic = f"{prefix}/availability"
    common = common_fields(camera="home front door", prefix=prefix, availability_topic=topic, page=page)
    messages = ImageTopics(prefix, common).discovery("homeassistant") if page is not None else {}
    for label, name in topic_names(labels).items():
        messages |= discovery_messages(label, name, prefix, "homeassistant", common)
    return {topic: json.loads(payload) for topic, payload in messages.items()}


def test_discovery_messages_have_documented_topics_and_fields() -> None:
    messages = messages_for("banana", "Ripe Äpfel", page="https://cam.example/door")
    assert len(messages) == 5
    for topic, payload in messages.items():
        match = TOPIC.fullmatch(topic)
        assert match is not None, topic
        assert set(payload) <= FIELDS[match[1]]
        assert set(payload) >= {"name", "unique_id", "device", "origin", "availability_topic"}
        assert ("image_topic" if match[1] == "image" else "state_topic") in payload
        assert set(payload["device"]) == DEVICE
        assert payload["device"]["identifiers"]
        assert payload["device"]["configuration_url"] == "https://cam.example/door/"
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
    texts = ["banana", "Ripe Banana", "Äpfel / 2", "Straße", "Łódź", "a-b_c"]
    assert [topic_name(text) for text in texts] == ["banana", "ripe_banana", "apfel_2", "strasse", "lodz", "a-b_c"]


@pytest.mark.parametrize("text", ["日本", "банан", "дом/дверь", "🍌", "!", "", "Tür 日本"])
def test_topic_name_of_another_script_is_valid_and_its_own(text: str) -> None:
    name = topic_name(text)
    assert re.fullmatch(r"(object|tur)_[0-9a-f]{8}", name)
    assert topic_name(text) == name != topic_name(f"{text}國")


def test_topic_name_does_not_depend_on_the_form_of_its_accents() -> None:
    for text in ("café", "банан й"):
        assert topic_name(unicodedata.normalize("NFD", text)) == topic_name(text)


def test_topic_names_are_unique_and_do_not_depend_on_later_labels() -> None:
    labels = ["日本", "中国", "banana", "Banana", "bañana", "BANANA"]
    names = topic_names(labels)
    assert len(set(names.values())) == 6
    assert names["banana"] == "banana"
    assert all(re.fullmatch(r"banana_[0-9a-f]{8}", names[label]) for label in labels[3:])
    for number in range(len(labels)):
        assert topic_names(labels[:number]) == dict(list(names.items())[:number])


def test_topic_names_of_other_scripts_do_not_depend_on_earlier_labels() -> None:
    assert topic_names(["банан"])["банан"] == topic_names(["яблоко", "banana", "банан"])["банан"]
