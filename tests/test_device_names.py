"""Names that are not ASCII or not UTF-8: of files and folders, in the programs' own processes."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from clocks import wait_until
from conftest import CLIP
from event_factory import event
from mqtt_broker import Mosquitto, Observer
from PIL import Image
from processes import FAKE, run_python

from device_apps.events.mqtt.address import parse_address
from device_apps.events.mqtt.connection import MqttConnectOptions
from device_apps.events.mqtt.event_publisher import MqttEventPublisher, client_id
from device_apps.events.spool import Spool
from device_apps.sources.utf8_path import utf8_path
from edge_ssd.console.text import argument_text, find_label, utf8_text

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems refuse such names")

LATIN_1 = os.fsdecode(b"k\xe4fer")
ASCII_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
"""A locale in which Python decodes no name beyond ASCII."""


def test_utf8_text_writes_bytes_that_are_not_utf8_as_escapes() -> None:
    assert utf8_text("käfer 日本") == "käfer 日本"
    assert utf8_text(os.fsdecode(b"k\xe4fer")) == r"k\xe4fer"
    assert utf8_text("\ud800") == r"\ud800"


def test_argument_text_is_normalized() -> None:
    assert argument_text("cafe\u0301") == "caf\u00e9"


def test_find_label_accepts_both_forms_of_accents() -> None:
    labels = ["cafe\u0301", "banana", "th\u00e9"]
    assert find_label("caf\u00e9", labels) == labels[0]
    assert find_label("the\u0301", labels) == labels[2]
    assert find_label("banana", labels) == "banana"
    assert find_label("cafe", labels) is None


def test_utf8_path_of_a_usual_name_is_its_own(tmp_path: Path) -> None:
    with utf8_path(tmp_path / "käfer.mp4") as name:
        assert name == str(tmp_path / "käfer.mp4")


@linux_only
def test_utf8_path_of_another_name_is_a_link_to_it(tmp_path: Path) -> None:
    path = tmp_path / f"{LATIN_1}.mp4"
    with utf8_path(path) as name:
        name.encode()
        Path(name).write_bytes(b"new")
        assert name.endswith(".mp4")
    assert path.read_bytes() == b"new"
    assert not Path(name).exists()


@linux_only
@pytest.mark.parametrize("environment", [{}, ASCII_LOCALE])
@pytest.mark.parametrize("name", [b"k\xe4fer", "käfer 日".encode()])
def test_camera_reads_and_writes_files_of_any_name(tmp_path: Path, name: bytes, environment: dict[str, str]) -> None:
    def named(suffix: str) -> Path:
        return tmp_path / (os.fsdecode(name) + suffix)

    shutil.copy(CLIP, named(".mp4"))
    options = ["--source", named(".mp4"), "--save-video", named("-seen.mp4"), "--snapshot", named(".jpg")]
    options += ["--events", named(".events"), "--event-snapshots", named("-shots"), "--jsonl", "-"]
    done = run_python(FAKE, "camera", "--headless", *options, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) == 105
    expected = utf8_text(str(named(".mp4")))
    assert json.loads(done.stdout.splitlines()[0])["source"] == expected
    assert named("-seen.mp4").stat().st_size > 10_000
    assert all(json.loads(line)["source"] == expected for line in named(".events").read_text("utf-8").splitlines())


@linux_only
def test_events_of_a_folder_whose_name_is_not_utf8_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / LATIN_1
    folder.mkdir()
    for number in range(6):
        Image.new("RGB", (60, 40), "red").save(folder / f"{number}.png")
    events = tmp_path / "events"
    done = run_python(FAKE, "camera", "--headless", "--source", folder, "--events", events)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["kind"] for line in events.read_text().splitlines()] == ["enter", "leave"]
    assert "Traceback" not in done.stderr
    detected = run_python(FAKE, "detect", "--source", folder, "--save", tmp_path / f"{LATIN_1}-out")
    assert detected.returncode == 0, detected.stderr
    assert len(list((tmp_path / f"{LATIN_1}-out").iterdir())) == 6


@linux_only
def test_service_names_a_file_that_its_configuration_cannot_hold(tmp_path: Path) -> None:
    shutil.copy(CLIP, tmp_path / f"{LATIN_1}.mp4")
    options = ["--source", tmp_path / f"{LATIN_1}.mp4", "--to", tmp_path / LATIN_1]
    done = run_python("-m", "edge_ssd", "service", *options)
    assert done.returncode == 2
    assert r"k\xe4fer.mp4: this name is not UTF-8, and TOML files can hold no other; rename it" in done.stderr
    assert done.stderr.count("\n") == 1
    done = run_python("-m", "edge_ssd", "service", "--to", tmp_path / LATIN_1)
    assert done.returncode == 0, done.stderr


def test_cameras_and_labels_in_other_scripts_have_identities_of_their_own(broker: Mosquitto, tmp_path: Path) -> None:
    def announce(prefix: str, labels: list[str], announced: list[str] | None = None) -> None:
        address = parse_address(f"mqtt://127.0.0.1:{broker.port}/{prefix}")
        spool = Spool(tmp_path / f"{time.monotonic()}.sqlite", max_messages=100, max_bytes=10**6)
        options = MqttConnectOptions(address, None, None, client_id(address.prefix))
        publisher = MqttEventPublisher(
            options, spool, labels=labels, announced=announced, discovery_prefix="homeassistant"
        )
        publisher.publish(event(1, label=labels[-1]))
        wait_until(lambda: len(observer.of(f"{prefix}/events")) > 0)
        publisher.close(time.monotonic() + 20)

    def sensors() -> dict[str, tuple[str, str]]:
        """Return name and device of each presence sensor, by its unique id."""
        found = {}
        for topic, payload in observer.latest().items():
            if topic.startswith("homeassistant/binary_sensor/"):
                config = json.loads(payload)
                found[config["unique_id"]] = (config["name"], config["device"]["identifiers"][0])
        return found

    labels = ["яблоко", "банан", "Банан", "banana"]
    with Observer(broker.port) as observer:
        announce("дом/дверь", labels)
        all_labels = sensors()
        observer.messages.clear()
        announce("дом/дверь", labels, ["банан", "banana"])
        selected = sensors()
        observer.messages.clear()
        announce("дом/окно", labels)
        other = sensors()
    assert sorted(name for name, _ in all_labels.values()) == sorted(labels)
    assert len({device for _, device in all_labels.values()}) == 1
    assert sorted(name for name, _ in selected.values()) == ["banana", "банан"]
    assert selected.items() <= all_labels.items()
    assert not other.keys() & all_labels.keys()
    assert {device for _, device in other.values()}.isdisjoint(device for _, device in all_labels.values())
