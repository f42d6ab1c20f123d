"""``edge-ssd camera`` telling files, a broker, pins and folders of what came and went."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import gpiozero
import pytest
from conftest import REPOSITORY
from device_fake import RedDetector
from event_parts import Notices, event, soon
from gpiozero.pins.mock import MockFactory
from mqtt_broker import Mosquitto, Observer, broker, certificates, need, password_file  # noqa: F401
from PIL import Image
from real_model import real_model
from stream_servers import MjpegServer

from device_apps import camera_command
from device_apps.events.options import add_event_arguments, open_events
from device_apps.sources.image_folder import ImageFolderSource
from edge_ssd import cli

CLIP = REPOSITORY / "device_apps" / "clips" / "bananas.mp4"
FAKE = [sys.executable, str(REPOSITORY / "tests" / "device_fake.py"), "camera", "--headless"]
QUICK = ["--enter-after", "0.1", "--leave-after", "0.4"]


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*FAKE, *(str(argument) for argument in arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


def test_the_shipped_model_on_the_shipped_clip_tells_everybody_the_same(tmp_path: Path) -> None:
    need("mosquitto", "mosquitto_passwd", "openssl")
    ca, lines = certificates(tmp_path)
    settings = [*lines, "allow_anonymous false", f"password_file {password_file(tmp_path, 'cam', 'secret')}"]
    (tmp_path / "secret").write_text("secret\n")
    pictures = tmp_path / "pictures"
    command = [sys.executable, "-m", "edge_ssd", "camera", "--headless", "--source", str(CLIP), "--events", "-"]
    command += ["--model", str(real_model()), "--event-snapshots", str(pictures)]
    command += ["--mqtt-password-file", str(tmp_path / "secret"), "--mqtt-ca", str(ca)]
    command += ["--mqtt-spool", str(tmp_path / "spool.sqlite")]
    with (
        Mosquitto(tmp_path, settings) as mosquitto,
        Observer(mosquitto.port, ca=ca, user="cam", password="secret") as observer,
    ):
        command += ["--mqtt", f"mqtts://cam@localhost:{mosquitto.port}/home/door"]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        events = [json.loads(line) for line in done.stdout.splitlines()]
        # The process may have ended before its connection was up: then the rest waits for the next.
        if len(observer.of("home/door/events")) < len(events):
            again = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120)
            assert again.returncode == 0, again.stderr
            events += [json.loads(line) for line in again.stdout.splitlines()]
        soon(lambda: len(observer.of("home/door/events")) >= len(events))
        soon(lambda: observer.latest()["home/door/availability"] == "offline")
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
    for item in events:
        with Image.open(item["snapshot"]) as picture:
            picture.load()
    assert len(list(pictures.iterdir())) == len(events)


def test_a_killed_camera_is_offline_for_everybody_and_online_when_it_is_back(
    broker: Mosquitto,  # noqa: F811
    tmp_path: Path,
) -> None:
    with MjpegServer(fps=30) as server, Observer(broker.port) as observer:
        options = [*QUICK, "--source", server.url, "--mqtt", f"mqtt://127.0.0.1:{broker.port}/cam"]
        options += ["--mqtt-spool", str(tmp_path / "spool.sqlite")]
        process = start(*options)
        soon(lambda: observer.latest().get("cam/red/present") == "ON")
        assert observer.latest()["cam/availability"] == "online"
        # The state may be there a moment before the event is on the disk, and what is not there yet dies with it.
        soon(lambda: len(observer.of("cam/events")) == 1)
        process.kill()
        process.communicate(timeout=30)
        soon(lambda: observer.latest()["cam/availability"] == "offline")
        process = start(*options)
        soon(lambda: observer.latest()["cam/availability"] == "online")
        soon(lambda: len({json.loads(text)["id"] for text in observer.of("cam/events")}) == 2)
        process.terminate()
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        soon(lambda: observer.latest()["cam/availability"] == "offline")
        soon(lambda: observer.latest()["cam/red/present"] == "OFF")
        # Killed before it knew of an arrival, it sends the same event once more.
        events = list({json.loads(text)["id"]: json.loads(text) for text in observer.of("cam/events")}.values())
    assert [(event["kind"], event["object_id"]) for event in events] == [("enter", 1), ("enter", 1), ("leave", 1)]
    assert events[0]["id"].split("-")[0] != events[1]["id"].split("-")[0] == events[2]["id"].split("-")[0]
    assert events[2]["reason"] == "end"


def test_objects_leave_when_the_camera_is_lost_and_enter_when_it_is_back() -> None:
    with MjpegServer(fps=30) as server:
        process = start(*QUICK, "--source", server.url, "--events", "-")
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["kind"] == "enter"
        with server.away():
            left = json.loads(process.stdout.readline())
        assert (left["kind"], left["object_id"], left["reason"]) == ("leave", 1, "unseen")
        back = json.loads(process.stdout.readline())
        assert (back["kind"], back["object_id"]) == ("enter", 2)
        process.terminate()
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert json.loads(out)["reason"] == "end"


def test_a_signal_ends_it_within_two_seconds_though_the_broker_hangs(tmp_path: Path) -> None:
    took = []
    with socket.create_server(("127.0.0.1", 0)) as silent, MjpegServer(fps=30) as server:
        url = f"mqtt://127.0.0.1:{silent.getsockname()[1]}"
        for attempt in range(3):  # On a busy machine one may take longer.
            events = tmp_path / f"events{attempt}.jsonl"
            options = [*QUICK, "--source", server.url, "--mqtt", url, "--mqtt-spool", tmp_path / "spool.sqlite"]
            process = start(*options, "--events", events, "--event-snapshots", tmp_path / "pictures")
            soon(lambda events=events: events.is_file() and events.read_text())
            sent = time.monotonic()
            process.terminate()
            _, err = process.communicate(timeout=30)
            took.append(time.monotonic() - sent)
            assert process.returncode == 0, err
            kinds = [json.loads(line)["kind"] for line in events.read_text().splitlines()]
            assert kinds == ["enter", "leave"]
            if took[-1] < 2.0:
                break
    assert min(took) < 2.0
    assert len(list((tmp_path / "pictures").iterdir())) == 2 * len(took)


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    with MjpegServer(fps=30) as server:
        process = start("--enter-after", "0.05", "--leave-after", "0", "--source", server.url, "--events", "-")
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        with server.away():  # Something has to leave, or nothing is written.
            err = process.stderr.read()
        process.stderr.close()
        assert process.wait(30) == 141
    assert "Traceback" not in err


PIN = """
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
    finds = device_fake.RedDetector.detect
    seen = []
    def detect(self, image):
        seen.append(1)
        if len(seen) > 20:
            raise OSError("the accelerator was unplugged")
        return finds(self, image)
    device_fake.RedDetector.detect = detect
sys.exit(device_fake.main())
"""


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "error"])
def test_a_pin_goes_off_however_it_ends(how: str) -> None:
    with MjpegServer(fps=30) as server:
        arguments = ["fail"] * (how == "error") + ["camera", "--headless", "--source", server.url, "--gpio", "17:red"]
        process = subprocess.Popen(
            [sys.executable, "-c", PIN, *arguments, "--enter-after", "0.1"],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "GPIO17 False\n"
        assert process.stdout.readline() == "GPIO17 True\n"
        if how != "error":
            process.send_signal(getattr(signal, how))
        out, err = process.communicate(timeout=30)
    assert out.splitlines()[0] == "GPIO17 False", err
    assert set(out.splitlines()) == {"GPIO17 False"}
    assert process.returncode == (2 if how == "error" else 0), err


# ---- options, in this process ---------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(camera_command, "make_detector", lambda args: RedDetector())
    monkeypatch.delenv("EDGE_SSD_MQTT_PASSWORD", raising=False)
    gpiozero.Device.pin_factory, before = MockFactory(), gpiozero.Device.pin_factory
    yield
    gpiozero.Device.pin_factory = before


BAD = {
    "--enter-after -1 --events -": "--enter-after must be a number of seconds from 0, got -1.0",
    "--leave-after nan --events -": "--leave-after must be a number of seconds from 0, got nan",
    "--events-max-mb 0": "--events-max-mb must be a number over 0, got 0.0",
    "--event-snapshots-max-mb inf": "--event-snapshots-max-mb must be a number over 0, got inf",
    "--events-keep -1": "--events-keep must be a whole number from 0, got -1",
    "--mqtt-spool-max 0": "--mqtt-spool-max must be a whole number from 1, got 0",
    "--events - --jsonl -": "--events - and --jsonl - would both write to standard output; name a file for one",
    "--events clip.avi": "clip.avi: --events would overwrite the source; name another place",
    "--events file/events.jsonl": "file/events.jsonl: cannot write to this file: ",
    "--event-snapshots file": "file: cannot write to this folder: ",
    "--gpio 17:blue": "--gpio 17:blue: there is no label 'blue'; labels: red",
    "--gpio 99": "--gpio 99: ",
    "--gpio 17 17": "--gpio 17: ",
    "--mqtt broker": "--mqtt broker: expected mqtt://[user@]host[:port][/prefix]",
    "--mqtt mqtt://me:pass@broker": "a password in the address can be read by every user of this machine",
    "--mqtt mqtt://broker --mqtt-ca ca.pem": "--mqtt-ca: mqtt://broker:1883 is not encrypted; write mqtts:// for TLS",
    "--mqtt mqtts://broker --mqtt-ca file": "--mqtt-ca file: cannot be used: it holds no certificate",
    "--mqtt mqtt://broker --mqtt-password-file file": "there is a password and no user; write mqtt://USER@broker:1883",
    "--mqtt mqtt://me@broker --mqtt-password-file none": "--mqtt-password-file none: cannot be read",
    "--mqtt-password-file file": "--mqtt-password-file: there is no --mqtt URL",
    "--mqtt mqtt://127.0.0.1:9 --mqtt-spool file/spool": "file/spool: cannot keep messages here: ",
}


@pytest.mark.parametrize("options", BAD)
def test_bad_options_are_one_line(
    options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("text")
    Image.new("RGB", (30, 20)).save("clip.png")
    Path("clip.png").rename("clip.avi")
    source = "clip.avi" if "clip.avi" in options else str(CLIP)
    status = cli.main(["camera", "--headless", "--source", source, *options.split()])
    out, err = capsys.readouterr()
    assert (status, out) == (2, ""), err
    (line,) = err.splitlines()
    assert BAD[options] in line
    assert ":pass" not in line
    assert {path.name for path in tmp_path.iterdir()} == {"file", "clip.avi"}
    assert Path("file").read_text() == "text"


def options_for(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_event_arguments(parser)
    parser.set_defaults(jsonl=None, classes=None)
    return parser.parse_args(arguments)


def test_nobody_to_tell_means_no_sink() -> None:
    with ExitStack() as stack:
        assert open_events(options_for(), ImageFolderSource([], "none"), stack, Notices()) is None


def test_a_web_page_is_somebody_to_tell() -> None:
    args = options_for()
    args.web = "8080"
    with ExitStack() as stack:
        sink = open_events(args, ImageFolderSource([], "none"), stack, Notices())
        assert sink is not None
        assert list(sink.recent) == []


def test_what_was_opened_is_closed_when_a_later_one_fails(tmp_path: Path) -> None:
    args = options_for("--gpio", "17", "--events", str(tmp_path / "e.jsonl"), "--mqtt", "nonsense")
    for _ in range(2):  # The second time, a pin that was left open would be in use.
        with ExitStack() as stack, pytest.raises(ValueError, match="--mqtt nonsense"):
            open_events(args, ImageFolderSource([], "none"), stack, Notices())


def test_the_password_may_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need("mosquitto", "mosquitto_passwd")
    monkeypatch.setenv("EDGE_SSD_MQTT_PASSWORD", "from outside")
    settings = ["allow_anonymous false", f"password_file {password_file(tmp_path, 'cam', 'from outside')}"]
    with (
        Mosquitto(tmp_path, settings) as mosquitto,
        Observer(mosquitto.port, user="cam", password="from outside") as observer,
    ):
        args = options_for("--mqtt", f"mqtt://cam@127.0.0.1:{mosquitto.port}", "--mqtt-spool", str(tmp_path / "s"))
        with ExitStack() as stack:
            open_events(args, ImageFolderSource([], "none"), stack, Notices(), ["red"])
            soon(lambda: "edge-ssd/red/present" in observer.latest())


def test_spools_are_kept_apart_and_where_a_service_may_write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from device_apps.events.options import _default_spool

    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert _default_spool("mqtt://a:1883/x").parent == tmp_path / "edge-ssd"
    assert _default_spool("mqtt://a:1883/x") != _default_spool("mqtt://a:1883/y")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/edge-ssd:/var/lib/other")
    assert _default_spool("mqtt://a:1883/x").parent == Path("/var/lib/edge-ssd")


def test_the_guide_names_every_option_and_shows_real_events() -> None:
    guide = (REPOSITORY / "docs" / "events.md").read_text(encoding="utf-8")
    parser = argparse.ArgumentParser(add_help=False)
    add_event_arguments(parser)
    options = [option for action in parser._actions for option in action.option_strings]
    assert [option for option in options if option not in guide] == []
    shown = [json.loads(line) for line in guide.splitlines() if line.startswith('{"id"')]
    assert len(shown) == 6
    for event_ in shown:
        leaving = {"duration_s", "reason"} if event_["kind"] == "leave" else set()
        assert set(event_) == set(event(1).to_dict()) | leaving
