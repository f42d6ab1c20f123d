"""The event options of ``edge-ssd camera``, in this process."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import gpiozero
import pytest
from clocks import wait_until
from conftest import CLIP, REPOSITORY
from device_fake import RedDetector, write_moving_square
from event_factory import event
from gpiozero.pins.mock import MockFactory
from mqtt_broker import Mosquitto, Observer, create_password_file, require_programs
from PIL import Image
from test_device_events_webhook import Receiver

from device_apps import camera_command
from device_apps.events.options import add_event_arguments, open_events
from device_apps.sources.image_folder import ImageFolderSource
from edge_ssd import cli


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(camera_command, "make_detector", lambda args: RedDetector())
    monkeypatch.delenv("EDGE_SSD_MQTT_PASSWORD", raising=False)
    gpiozero.Device.pin_factory, before = MockFactory(), gpiozero.Device.pin_factory
    yield
    gpiozero.Device.pin_factory = before


BAD = {
    "--enter-after -1 --events -": '--enter-after must be seconds from 0, or frames such as "3f", got -1.0',
    "--enter-after 0f --events -": '--enter-after must be seconds from 0, or frames such as "3f", got 0f',
    "--leave-after nan --events -": '--leave-after must be seconds from 0, or frames such as "3f", got nan',
    f"--name {'x' * 61} --events -": f"--name must be one line of 1 to 60 characters, got '{'x' * 61}'",
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
    "--mqtt mqtt://me:pass@broker": "every user of this machine can read a password in the address",
    "--mqtt mqtt://broker --mqtt-ca ca.pem": "--mqtt-ca: mqtt://broker:1883 is not encrypted; write mqtts:// for TLS",
    "--mqtt mqtts://broker --mqtt-ca file": "--mqtt-ca file: cannot be used: it holds no certificate",
    "--mqtt mqtt://broker --mqtt-password-file file": "a password needs a user; write mqtt://USER@broker:1883",
    "--mqtt mqtt://me@broker --mqtt-password-file none": "--mqtt-password-file none: cannot be read",
    "--mqtt-password-file file": "--mqtt-password-file: there is no --mqtt URL",
    "--mqtt-image --event-snapshots shots": "--mqtt-image: there is no --mqtt URL",
    "--mqtt mqtt://broker --mqtt-image": "--mqtt-image needs --event-snapshots DIR",
    "--mqtt-ca file": "--mqtt-ca: there is no --mqtt URL",
    "--mqtt mqtt://broker --mqtt-cert c": "--mqtt-cert: mqtt://broker:1883 is not encrypted; write mqtts:// for TLS",
    "--mqtt mqtts://broker --mqtt-key file": "--mqtt-key needs --mqtt-cert FILE",
    "--mqtt mqtts://broker --mqtt-cert file": "--mqtt-cert file: cannot be used: it is not a PEM file",
    "--mqtt mqtt://broker --mqtt-discovery a/#": "--mqtt-discovery: 'a/#' is not a valid topic prefix",
    "--mqtt mqtt://broker --mqtt-discovery homeassistant/": "'homeassistant/' is not a valid topic prefix",
    "--mqtt mqtt://127.0.0.1:9 --mqtt-spool file/spool": "file/spool: cannot keep messages here: ",
    "--webhook broker/secret": "--webhook broker/secret: expected http://[user:PASSWORD@]host[:port]/path",
    "--webhook ftp://me:pass@host/secret": "--webhook ftp://me:***@host: expected http://",
    "--webhook http://me:pass@host:99999/secret": "--webhook http://me:***@host:99999: its host or port is malformed",
    "--webhook http://a..b/secret": "--webhook http://a..b: its host or port is malformed",
    "--webhook http://host --webhook-timeout 0": "--webhook-timeout must be a number over 0",
    "--webhook http://host --webhook-secret-file none": "--webhook-secret-file none: cannot be read: No such file",
    "--webhook http://host --webhook-secret-file /dev/null": "--webhook-secret-file /dev/null: the secret is empty",
    "--webhook http://host --webhook-header-file file": "file: line 1 is not a header in ASCII",
    "--webhook http://host --webhook-spool file/spool": "another file with --webhook-spool",
    "--webhook-secret-file file": "--webhook-secret-file: there is no --webhook URL",
}


@pytest.mark.parametrize("options", BAD)
def test_invalid_options_are_refused_in_one_line(
    options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("text")
    Path("file").chmod(0o600)
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


def parse_options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_event_arguments(parser)
    parser.set_defaults(jsonl=None, classes=None)
    return parser.parse_args(arguments)


def test_open_events_returns_none_without_destinations() -> None:
    with ExitStack() as stack:
        assert open_events(parse_options(), ImageFolderSource([], "none"), stack) is None


def test_open_events_needs_only_the_web_option() -> None:
    args = parse_options()
    args.web = "8080"
    with ExitStack() as stack:
        emitter = open_events(args, ImageFolderSource([], "none"), stack)
        assert emitter is not None
        assert list(emitter.recent) == []


def test_open_events_closes_what_is_open_when_a_later_one_fails(tmp_path: Path) -> None:
    args = parse_options("--gpio", "17", "--events", str(tmp_path / "e.jsonl"), "--mqtt", "nonsense")
    for _ in range(2):  # A pin that stayed open would be in use the second time.
        with ExitStack() as stack, pytest.raises(ValueError, match="--mqtt nonsense"):
            open_events(args, ImageFolderSource([], "none"), stack)


def test_mqtt_password_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require_programs("mosquitto", "mosquitto_passwd")
    monkeypatch.setenv("EDGE_SSD_MQTT_PASSWORD", "from outside")
    settings = ["allow_anonymous false", f"password_file {create_password_file(tmp_path, 'cam', 'from outside')}"]
    with (
        Mosquitto(tmp_path, settings) as mosquitto,
        Observer(mosquitto.port, user="cam", password="from outside") as observer,
    ):
        args = parse_options("--mqtt", f"mqtt://cam@127.0.0.1:{mosquitto.port}", "--mqtt-spool", str(tmp_path / "s"))
        with ExitStack() as stack:
            open_events(args, ImageFolderSource([], "none"), stack, ["red"])
            wait_until(lambda: "edge-ssd/red/present" in observer.latest())


def test_webhook_gets_the_events_of_the_command_and_no_log_its_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    write_moving_square(tmp_path / "images", 3)
    with Receiver(500) as server:
        config = tmp_path / "camera.toml"
        config.write_text(f'webhook = "{server.url.replace("://", "://me:pass@")}/secret"\nenter-after = "2f"\n')
        options = ["--config", str(config), "--events", str(tmp_path / "events.jsonl"), "--debug"]
        assert cli.main(["camera", "--headless", "--source", str(tmp_path / "images"), *options]) == 0
        assert not server.events, "the retry would have come after the end"
        assert cli.main(["camera", "--headless", "--source", str(tmp_path / "images"), *options]) == 0
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [seen["kind"] for seen in server.events] == ["enter", "leave"] * 2
    assert server.events == [json.loads(line) for line in lines]
    err = capsys.readouterr().err
    assert f"webhook http://127.0.0.1:{server.server_port}: the server answers 500" in err
    assert "pass" not in err
    assert "secret" not in err


def test_events_page_documents_every_option_and_valid_events() -> None:
    page = (REPOSITORY / "docs" / "events.md").read_text(encoding="utf-8")
    parser = argparse.ArgumentParser(add_help=False)
    add_event_arguments(parser)
    options = [option for action in parser._actions for option in action.option_strings]
    assert [option for option in options if option not in page] == []
    examples = [json.loads(line) for line in page.splitlines() if line.startswith('{"id"')]
    assert len(examples) == 6
    for example in examples:
        leave_fields = {"duration_s", "reason"} if example["kind"] == "leave" else set()
        assert set(example) == set(event(1).to_dict()) | leave_fields


def test_paho_1_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("paho.mqtt.__version__", "1.6.1")
    assert cli.main(["camera", "--headless", "--source", str(CLIP), "--mqtt", "mqtt://broker"]) == 2
    assert 'paho-mqtt 2, and 1.6.1 is installed: pip install "paho-mqtt>=2.1"' in capsys.readouterr().err
