"""``edge-ssd camera`` publishing events to files, a broker, pins and snapshot folders, in processes of its own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from clocks import wait_until
from conftest import CLIP
from mqtt_broker import Mosquitto, Observer, create_certificates, create_password_file, require_programs
from PIL import Image
from processes import FAKE, run_python, start_python, stop
from real_model import real_model
from stream_servers import MjpegServer

QUICK = ["--enter-after", "0.1", "--leave-after", "0.4"]


def start(*options: object) -> subprocess.Popen[str]:
    return start_python(FAKE, "camera", "--headless", *options)


def test_camera_publishes_the_same_events_to_every_destination(tmp_path: Path) -> None:
    require_programs("mosquitto", "mosquitto_passwd", "openssl")
    ca, lines = create_certificates(tmp_path)
    settings = [*lines, "allow_anonymous false", f"password_file {create_password_file(tmp_path, 'cam', 'secret')}"]
    (tmp_path / "mqtt.key").write_text("secret\n")
    (tmp_path / "mqtt.key").chmod(0o600)
    snapshots = tmp_path / "snapshots"
    command = ["-m", "edge_ssd", "camera", "--headless", "--source", CLIP, "--events", "-", "--model", real_model()]
    command += ["--event-snapshots", snapshots, "--mqtt-password-file", tmp_path / "mqtt.key", "--mqtt-ca", ca]
    command += ["--mqtt-spool", tmp_path / "spool.sqlite", "--mqtt-image"]
    with (
        Mosquitto(tmp_path, settings) as mosquitto,
        Observer(mosquitto.port, ca=ca, user="cam", password="secret") as observer,
    ):
        command += ["--mqtt", f"mqtts://cam@localhost:{mosquitto.port}/home/door"]
        done = run_python(*command)
        assert done.returncode == 0, done.stderr
        events = [json.loads(line) for line in done.stdout.splitlines()]
        # The process may have ended before it was connected: then the next run sends the events.
        if len(observer.of("home/door/events")) < len(events):
            again = run_python(*command)
            assert again.returncode == 0, again.stderr
            events += [json.loads(line) for line in again.stdout.splitlines()]
        wait_until(lambda: len(observer.of("home/door/events")) >= len(events))
        wait_until(lambda: observer.latest()["home/door/availability"] == "offline")
        arrived = [json.loads(text) for text in observer.of("home/door/events")]
        latest = observer.latest()
    assert "secret" not in done.stderr + done.stdout
    assert arrived == events
    entered = [event["object_id"] for event in events if event["kind"] == "enter"]
    left = [event["object_id"] for event in events if event["kind"] == "leave"]
    assert len(entered) >= 3
    assert sorted(entered) == sorted(left)
    assert {event["label"] for event in events} == {"banana"}
    assert (latest["home/door/banana/present"], latest["home/door/banana/count"]) == ("OFF", "0")
    config = json.loads(latest["homeassistant/binary_sensor/edge_ssd_home_door/banana_present/config"])
    assert config["state_topic"] == "home/door/banana/present"
    assert json.loads(latest["homeassistant/image/edge_ssd_home_door/latest_image/config"])["image_topic"] in latest
    assert json.loads(latest["home/door/latest/event"]) == [event for event in events if event["kind"] == "enter"][-1]
    for item in events:
        with Image.open(item["snapshot"]) as image:
            image.load()
    assert len(list(snapshots.iterdir())) == len(events)


def test_killed_camera_goes_offline_and_comes_back_online(broker: Mosquitto, tmp_path: Path) -> None:
    with MjpegServer(fps=30) as server, Observer(broker.port) as observer:
        options = [*QUICK, "--source", server.url, "--mqtt", f"mqtt://127.0.0.1:{broker.port}/cam"]
        options += ["--mqtt-spool", str(tmp_path / "spool.sqlite")]
        process = start(*options)
        wait_until(lambda: observer.latest().get("cam/red/present") == "ON")
        assert observer.latest()["cam/availability"] == "online"
        # The state may arrive before the event is on disk, where the kill would lose it.
        wait_until(lambda: len(observer.of("cam/events")) == 1)
        process.kill()
        process.communicate(timeout=30)
        wait_until(lambda: observer.latest()["cam/availability"] == "offline")
        process = start(*options)
        wait_until(lambda: observer.latest()["cam/availability"] == "online")
        wait_until(lambda: len({json.loads(text)["id"] for text in observer.of("cam/events")}) == 2)
        stop(process, within_s=30)
        wait_until(lambda: observer.latest()["cam/availability"] == "offline")
        wait_until(lambda: observer.latest()["cam/red/present"] == "OFF")
        # Killed before it received an acknowledgement, it sends the same event again.
        events = list({json.loads(text)["id"]: json.loads(text) for text in observer.of("cam/events")}.values())
    assert [(event["kind"], event["object_id"]) for event in events] == [("enter", 1), ("enter", 1), ("leave", 1)]
    assert events[0]["id"].split("-")[0] != events[1]["id"].split("-")[0] == events[2]["id"].split("-")[0]
    assert events[2]["reason"] == "end"


def test_objects_leave_while_the_camera_is_lost() -> None:
    with MjpegServer(fps=30) as server:
        process = start(*QUICK, "--source", server.url, "--events", "-")
        assert json.loads(process.stdout.readline())["kind"] == "enter"
        with server.away():
            left = json.loads(process.stdout.readline())
        assert (left["kind"], left["object_id"], left["reason"]) == ("leave", 1, "unseen")
        entered = json.loads(process.stdout.readline())
        assert (entered["kind"], entered["object_id"]) == ("enter", 2)
        out, _ = stop(process, within_s=30)
    assert json.loads(out)["reason"] == "end"


def test_sigterm_ends_the_camera_within_two_seconds_while_the_broker_hangs(tmp_path: Path) -> None:
    durations = []
    with socket.create_server(("127.0.0.1", 0)) as silent, MjpegServer(fps=30) as server:
        url = f"mqtt://127.0.0.1:{silent.getsockname()[1]}"
        for attempt in range(3):  # On a busy machine one may take longer.
            events = tmp_path / f"events{attempt}.jsonl"
            options = [*QUICK, "--source", server.url, "--mqtt", url, "--mqtt-spool", tmp_path / "spool.sqlite"]
            process = start(*options, "--events", events, "--event-snapshots", tmp_path / "snapshots")
            wait_until(lambda events=events: events.is_file() and events.read_text())
            sent = time.monotonic()
            process.terminate()
            _, err = process.communicate(timeout=30)
            durations.append(time.monotonic() - sent)
            assert process.returncode == 0, err
            kinds = [json.loads(line)["kind"] for line in events.read_text().splitlines()]
            assert kinds == ["enter", "leave"]
            if durations[-1] < 2.0:
                break
    assert min(durations) < 2.0
    assert len(list((tmp_path / "snapshots").iterdir())) == 2 * len(durations)


def test_closed_pipe_ends_the_camera_quietly() -> None:
    with MjpegServer(fps=30) as server:
        process = start("--enter-after", "0.05", "--leave-after", "0", "--source", server.url, "--events", "-")
        process.stdout.readline()
        process.stdout.close()
        with server.away():  # An object must leave, so that a line is written.
            err = process.stderr.read()
        process.stderr.close()
        assert process.wait(30) == 141
    assert "Traceback" not in err


PIN_SCRIPT = """
import sys
sys.path.insert(0, "tests")
import gpiozero
from gpiozero.pins import mock

class Pin(mock.MockPin):
    def _change_state(self, value):
        if self._function == "output":
            print(self.info.name, value, flush=True)
        return super()._change_state(value)

gpiozero.Device.pin_factory = mock.MockFactory(pin_class=Pin)
import device_fake
if "fail" in sys.argv:
    sys.argv.remove("fail")
    original = device_fake.RedDetector.detect
    calls = []
    def detect(self, image):
        calls.append(1)
        if len(calls) > 20:
            raise OSError("the accelerator was unplugged")
        return original(self, image)
    device_fake.RedDetector.detect = detect
sys.exit(device_fake.main())
"""


@pytest.mark.parametrize("ending", ["SIGTERM", "SIGINT", "error"])
def test_pin_is_off_after_every_ending(ending: str) -> None:
    with MjpegServer(fps=30) as server:
        arguments = ["fail"] * (ending == "error") + ["camera", "--headless", "--source", server.url]
        process = start_python("-c", PIN_SCRIPT, *arguments, "--gpio", "17:red", "--enter-after", "0.1")
        assert process.stdout.readline() == "GPIO17 False\n"
        assert process.stdout.readline() == "GPIO17 True\n"
        if ending != "error":
            process.send_signal(getattr(signal, ending))
        out, err = process.communicate(timeout=30)
    assert out.splitlines()[0] == "GPIO17 False", err
    assert set(out.splitlines()) == {"GPIO17 False"}
    assert process.returncode == (2 if ending == "error" else 0), err
