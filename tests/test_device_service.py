"""The systemd unit and its configuration, and the camera command as systemd runs it.

systemd-analyze verifies the unit; a socket of the test replaces systemd otherwise.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import pytest
from clocks import wait_until
from conftest import REPOSITORY, skip_or_fail
from processes import FAKE, start_python, stop
from stream_servers import MjpegServer

from device_apps import camera_command, service_command
from device_apps.service_files import first_inaccessible_parent, format_unit, generate_service_files, program_files
from device_apps.zones.active_zones import ActiveZones
from edge_ssd import cli
from edge_ssd.cli import command_parser
from edge_ssd.errors import SettingError

# A detector that hangs once there is a file "hang", as a driver or a native library may.
HANGING_CAMERA = """
import os, sys, time
sys.path.insert(0, sys.argv.pop(1))
import device_fake
from device_apps import camera_command, sd_notify
from edge_ssd import cli
sd_notify._STATUS_INTERVAL = 0.1
class Hanging(device_fake.RedDetector):
    def detect(self, image):
        if os.path.exists("hang"):
            time.sleep(1000)
        return super().detect(image)
    def share(self, **settings):
        return Hanging()
camera_command.make_detector = lambda args: Hanging()
sys.exit(cli.main())
"""


def run_service(*options: object) -> int:
    return cli.main(["service", *(str(option) for option in options)])


def read_unit(unit: Path) -> dict[str, list[str]]:
    """Return the values of every setting of a unit, in order."""
    values: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            values.setdefault(name, []).append(value)
    return values


def test_configuration_reproduces_the_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--source", "0", "--width", "640", "--classes", "banana", "--jsonl", 'a "b" Ä\\.jsonl', "--fps", "12.5"]
    assert run_service("--to", tmp_path, *options) == 0
    out = capsys.readouterr().out
    assert f"sudo install -m 600 {tmp_path}/edge-ssd.toml /etc/edge-ssd.toml" in out
    parser = command_parser("camera")
    from device_apps.config_file import add_config_options

    config = tmp_path / "edge-ssd.toml"
    actual = parser.parse_args(add_config_options(parser, ["--config", str(config)]))
    expected = parser.parse_args([*options, "--headless", "--wait"])
    assert vars(actual) | {"config": None} == vars(expected)
    assert config.stat().st_mode & 0o777 == 0o600, "it may hold a password"


def test_files_are_only_printed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_service("--to", "-", "--fps", "7", "--source", "/srv/none.mp4") == 0
    out = capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    assert run_service("--to", "-", "--source", "0") == 0
    assert run_service("--to", "-", "--source", "rtsp://host/x") == 0
    assert f"{tmp_path}/" not in caplog.text
    assert "/srv" not in caplog.text
    assert run_service("--to", tmp_path, "--fps", "7", "--source", "/srv/none.mp4") == 0
    for suffix in ("toml", "service"):
        assert (tmp_path / f"edge-ssd.{suffix}").read_text() in out
    assert run_service("--to", "-", "--source", "/tmp/none.mp4") == 0
    assert "/tmp/none.mp4: the service does not see this: it has a /tmp of its own" in caplog.text


def test_configuration_lists_every_option(tmp_path: Path) -> None:
    assert run_service("--to", tmp_path) == 0
    text = (tmp_path / "edge-ssd.toml").read_text()
    for name in ("source", "save-video", "stats-every", "model", "score-threshold", "retries"):
        assert f"\n#{name} = " in text
    assert "\nheadless = true\n" in text
    assert "\nwait = true\n" in text
    assert "overwrite" not in text


def test_camera_has_the_name_of_its_service(tmp_path: Path) -> None:
    assert run_service("--to", tmp_path) == 0
    assert '\n#name = "NAME"\n' in (tmp_path / "edge-ssd.toml").read_text()
    assert run_service("--to", tmp_path, "--name", "porch", "--loop") == 0
    text = (tmp_path / "porch.toml").read_text()
    assert '\nname = "porch"\n' in text
    assert "\nloop = true\n" in text


def test_service_accepts_a_configuration_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('source = "/dev/video7"\nfps = 5\n')
    assert run_service("--to", tmp_path / "out", "--config", tmp_path / "mine.toml", "--fps", "10") == 0
    text = (tmp_path / "out" / "edge-ssd.toml").read_text()
    assert '\nsource = "/dev/video7"\n' in text
    assert "\nfps = 10.0\n" in text


def test_zones_of_a_configuration_file_are_kept_and_saved_elsewhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = tmp_path / "old.toml"
    zone = '[[zones]]\nname = "gate"\npoints = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]\n'
    old.write_text(f'fps = 5\n{zone}[[zones]]\nname = "bad"\npoints = []\n')
    assert run_service("--config", old, "--to", tmp_path, "--web", "8080") == 0
    config = tmp_path / "edge-ssd.toml"
    text = config.read_text(encoding="utf-8")
    assert text.endswith(f"\n{zone}")
    assert '\nzones-file = "zones.toml"\n' in text
    assert [zone.name for zone in ActiveZones.open(config, tmp_path / "zones.toml").shapes.zones] == ["gate"]
    assert f"{old}: zone 'bad': a polygon needs at least 3 points, got 0; it is left out" in caplog.messages


CAMERAS = """\
fps = 5
web = "8080"
[[cameras]]
name = "Front door"
source = 'front "door".avi'
motion-gate = false
[[cameras.zones]]
name = "gate"
points = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
[[cameras]]
name = "Garden"
source = 0
fps = 12.5
gpio = ["17:banana", "27"]
"""


def test_several_cameras_have_one_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cameras.toml").write_text(CAMERAS)
    Path('front "door".avi').touch()
    assert run_service("--config", "cameras.toml", "--name", "home", "--motion-gate-interval", "3") == 0
    text = Path("home.toml").read_text()
    assert "\n#fps" not in text
    for name in ("name", "source", "gpio"):
        assert not re.search(rf"^#?{name} =", text.partition("[[cameras]]")[0], re.MULTILINE), "each camera has its own"
    assert "LoadCredential=config.toml:/etc/home.toml\n" in Path("home.service").read_text()
    parser, options = command_parser("camera"), ["--config", "home.toml"]
    camera_command.expand(parser, options)
    door, garden = parser.get_default("cameras")
    assert (door.args.name, door.args.source) == ("Front door", str(tmp_path / 'front "door".avi'))
    assert (door.args.fps, door.args.motion_gate_interval) == (5, 3)
    assert door.args.zones_file == Path("front_door/zones.toml")
    assert (garden.args.source, garden.args.fps, garden.args.gpio) == ("0", 12.5, ["17:banana", "27"])
    zones = ActiveZones.open(Path("home.toml"), None, 0).shapes.zones
    assert [zone.name for zone in zones] == ["gate"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (CAMERAS.replace("Garden", "Front door"), (), "cameras.toml: camera 'Front door': an earlier camera has"),
        (CAMERAS.replace("12.5", "-1"), (), "cameras.toml: camera 'Garden': --fps must be a number over 0"),
        ("cameras = []", (), "cameras.toml: there is no camera in it; begin each with [[cameras]]"),
        (CAMERAS, ("--source", "0"), "--source: each camera of cameras.toml has its own; leave it out"),
    ],
)
def test_mistake_in_several_cameras_is_one_line_and_no_service(
    text: str,
    options: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cameras.toml").write_text(text)
    assert run_service("--config", "cameras.toml", *options) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["cameras.toml"]


def test_paths_of_inputs_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_ssd.runtime.shipped_models import find_model

    monkeypatch.chdir(tmp_path)
    shutil.copy(find_model("banana"), "mine.tflite")
    Path("clip.avi").touch()
    assert run_service("--model", "mine.tflite", "--source", "clip.avi", "--jsonl", "seen.jsonl") == 0
    text = Path("edge-ssd.toml").read_text()
    assert f'\nmodel = "{tmp_path}/mine.tflite"\n' in text
    assert f'\nsource = "{tmp_path}/clip.avi"\n' in text
    assert '\njsonl = "seen.jsonl"\n' in text, "outputs go to the service's own folder"


def test_unit_is_sandboxed(tmp_path: Path) -> None:
    assert run_service("--to", tmp_path, "--name", "porch", "--memory-max", "300M") == 0
    unit = read_unit(tmp_path / "porch.service")
    expected = {
        "Type": "notify",
        "Restart": "on-failure",
        "WatchdogSec": "60",
        "ProtectSystem": "strict",
        "PrivateTmp": "yes",
        "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "",
        "DevicePolicy": "closed",
        "MemoryMax": "300M",
        "StateDirectory": "porch",
        "LoadCredential": "config.toml:/etc/porch.toml",
    }
    assert {name: unit[name][0] for name in expected} == expected
    assert "char-video4linux rw" in unit["DeviceAllow"]
    assert unit["SupplementaryGroups"][0].split()[0] == "video"
    assert unit["ExecStart"][0].endswith(" -m edge_ssd camera --config ${CREDENTIALS_DIRECTORY}/config.toml")
    assert all(len(values) == 1 for name, values in unit.items() if name != "DeviceAllow")


def test_systemd_analyze_accepts_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    assert run_service("--to", tmp_path) == 0
    unit = tmp_path / "edge-ssd.service"
    if program is None:
        parser = ConfigParser(strict=False, interpolation=None)
        parser.read(unit)
        assert parser.sections() == ["Unit", "Service", "Install"]
        return
    done = subprocess.run([program, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    # It also loads the units of the system and may warn of those.
    assert "edge-ssd" not in done.stderr, done.stderr
    security = [program, "security", "--offline=true", "--threshold=25", str(unit)]
    done = subprocess.run(security, capture_output=True, text=True, check=False)
    if "--offline" in done.stderr or "--threshold" in done.stderr:
        pytest.skip("this systemd cannot rate a unit that is not loaded")
    assert done.returncode == 0, done.stdout


def test_service_runs_as_the_owner_of_an_inaccessible_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)

    def run(name: str, folder: Path | None, *options: str) -> dict[str, list[str]]:
        args = command_parser("service").parse_args(["--to", str(tmp_path / name), *options])
        assert service_command.run(args, lambda files: folder) == 0
        return read_unit(tmp_path / name / "edge-ssd.service")

    unit = run("one", home)
    assert unit["User"] == [home.owner()]
    assert "DynamicUser" not in unit
    assert f"runs as {home.owner()}: other users cannot enter {home}" in caplog.text
    assert run("two", None)["DynamicUser"] == ["yes"]
    assert run("three", home, "--user", "pi")["User"] == ["pi"]


def test_first_inaccessible_parent_is_the_outermost(tmp_path: Path) -> None:
    private = tmp_path / "home"
    private.mkdir(mode=0o700)
    tmp_path.chmod(0o755)
    (private / "inside").mkdir()
    assert first_inaccessible_parent([private / "inside" / "python"]) in (private, *tmp_path.parents)
    assert first_inaccessible_parent([Path("/usr/bin/python3")]) is None


def test_unit_quotes_special_characters() -> None:
    program, credentials = "/opt/a b/100%/$x/q", {"config.toml": "/etc/10%.toml"}
    text = format_unit("x", program, credentials, user=None, groups=["video"], home="yes", memory_max="1G")
    assert 'ExecStart="/opt/a b/100%%/$x/q" -m edge_ssd camera' in text
    assert "LoadCredential=config.toml:/etc/10%%.toml\n" in text


@pytest.mark.parametrize("name", ["a 100%n $x ä", 'a"b', "a'b", "a\\b"])
def test_systemd_finds_a_program_in_a_folder_of_any_name_or_it_is_refused(tmp_path: Path, name: str) -> None:
    program = tmp_path / name / "python"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    options: dict[str, Any] = {"user": None, "groups": ["video"], "home": "yes", "memory_max": "1G"}
    if set(name) & set("\"'\\"):
        with pytest.raises(SettingError, match="systemd can run no program in a folder with quotes"):
            format_unit("x", str(program), {}, **options)
        return
    unit = tmp_path / "x.service"
    unit.write_text(format_unit("x", str(program), {}, **options), encoding="utf-8")
    analyze = shutil.which("systemd-analyze")
    if analyze is not None:
        done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("path", ["/tmp/x\nExecStartPre=+/bin/evil", "/tmp/a\rb", "/tmp/a\u2028b", "/tmp/ends with\\"])
def test_paths_add_no_lines_to_the_unit(path: str) -> None:
    options = {"user": None, "groups": ["video"], "home": "yes", "memory_max": "1G"}
    for program, credentials in ((path, {}), ("/usr/bin/python3", {"web_token_file": path})):
        with pytest.raises(SettingError, match="systemd cannot be given this path: rename it"):
            format_unit("x", program, credentials, **options)


def test_printed_commands_quote_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "two words; rm x"
    assert run_service("--to", folder) == 0
    commands = [line.split() and shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    (config,) = [words for words in commands if words[:4] == ["sudo", "install", "-m", "600"]]
    assert config[4:] == [f"{folder}/edge-ssd.toml", "/etc/edge-ssd.toml"]


def test_files_with_secrets_become_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    args = command_parser("service").parse_args(["--name", "porch", "--mqtt-password-file", "secret"])
    camera = command_parser("camera")
    config, unit = generate_service_files(args, camera, user=None, groups=["video"], files=program_files(None))
    assert f"LoadCredential=mqtt_password_file:{tmp_path}/secret\n" in unit
    assert "web_token_file" not in unit
    assert '\nmqtt-password-file = "/run/credentials/porch.service/mqtt_password_file"\n' in config
    assert args.mqtt_password_file == Path("secret")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--name", "Two Words"], "--name must be lowercase letters"),
        (["--name", "../etc"], "--name must be lowercase letters"),
        (["--memory-max", "much"], "--memory-max must be a size such as 512M"),
        (["--memory-max", "512"], "--memory-max must be at least 128M, got 512; without a letter it is in bytes"),
        (["--user", "a b"], "--user must be the name of a user"),
        (["--model", "none.tflite"], "none.tflite: no such file"),
        (["--width", "0"], "--width must be a whole number from 1, got 0"),
        (["--mqtt", "mqtt://user:secret@broker"], "--mqtt: every user of this machine can read a password"),
        (["--mqtt-ca", "ca.pem"], "--mqtt-ca: there is no --mqtt URL"),
        (["--fps", "fast"], "argument --fps: invalid float value"),
        (["--to", "/proc/x"], "/proc/x: cannot write to this folder"),
    ],
)
def test_invalid_options_are_refused_in_one_line(
    options: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("device_apps.service_command._PRIVATE_FOLDERS", ())  # This checkout may be in /tmp.
    assert run_service("--to", tmp_path, *options) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_existing_files_are_kept_without_overwrite(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "edge-ssd.toml").write_text("mine\n")
    assert run_service("--to", tmp_path) == 2
    assert "edge-ssd.toml: exists already; use --overwrite" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["edge-ssd.toml"]
    assert (tmp_path / "edge-ssd.toml").read_text() == "mine\n"
    assert run_service("--to", tmp_path, "--overwrite") == 0
    assert "headless = true" in (tmp_path / "edge-ssd.toml").read_text()


# ---- the camera command in a process of its own, as systemd runs it ----


class ServiceManager:
    """Receives the messages of the process to systemd."""

    def __init__(self, receiver: socket.socket) -> None:
        self._receiver = receiver
        self.messages: list[str] = []

    def wait_for(self, text: str, seconds: float = 30.0) -> None:
        """Wait for a new message that contains ``text``."""
        end = time.monotonic() + seconds
        count = len(self.messages)
        while not any(text in line for line in self.messages[count:]):
            self._receiver.settimeout(max(0.01, end - time.monotonic()))
            try:
                self.messages += self._receiver.recv(4096).decode().splitlines()
            except TimeoutError:
                raise AssertionError(f"no {text!r} in {seconds} s; received {self.messages}") from None

    def is_silent(self, seconds: float) -> bool:
        self._receiver.settimeout(seconds)
        try:
            self.messages += self._receiver.recv(4096).decode().splitlines()
        except TimeoutError:
            return True
        return False


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    if not sys.platform.startswith("linux"):
        skip_or_fail("systemd is Linux only")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        yield ServiceManager(receiver)


def start_camera(tmp_path: Path, config: str, *program: object, watchdog_usec: int = 800_000) -> subprocess.Popen[str]:
    (tmp_path / "camera.toml").write_text(config)
    environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": str(watchdog_usec)}
    environment.pop("WATCHDOG_PID", None)
    command = [*(program or (FAKE,)), "camera", "--config", tmp_path / "camera.toml"]
    return start_python(*command, stdout=None, env=environment, cwd=tmp_path)


def has_lines(path: Path, number: int = 1) -> bool:
    return path.exists() and len(path.read_text().splitlines()) >= number


def test_camera_reports_ready_watchdog_and_stopping(tmp_path: Path, manager: ServiceManager) -> None:
    with MjpegServer(fps=30) as server:
        process = start_camera(tmp_path, f'source = "{server.url}"\nheadless = true\njsonl = "seen.jsonl"\n')
        manager.wait_for("READY=1")
        manager.wait_for("WATCHDOG=1")
        server.paused.set()  # A source without frames must not cause a restart.
        time.sleep(0.5)
        for _ in range(3):
            manager.wait_for("WATCHDOG=1")
        server.paused.clear()
        manager.wait_for("WATCHDOG=1")
        stop(process)
    manager.wait_for("STOPPING=1")
    assert manager.messages.count("READY=1") == 1
    assert (tmp_path / "seen.jsonl").exists()


def test_camera_waits_for_a_source_that_is_not_available_yet(tmp_path: Path, manager: ServiceManager) -> None:
    with MjpegServer(fps=30) as server:
        with server.away():
            process = start_camera(
                tmp_path, f'source = "{server.url}"\nheadless = true\nwait = true\njsonl = "seen.jsonl"\n'
            )
            manager.wait_for("STATUS=waiting for the source")
            manager.wait_for("WATCHDOG=1")
            assert process.poll() is None
        wait_until(lambda: has_lines(tmp_path / "seen.jsonl"))
        _, err = stop(process)
    assert manager.messages[0] == "READY=1"
    assert "no response from 127.0.0.1" in err.splitlines()[0]
    assert err.splitlines()[0].endswith("; retrying until it is available")


def test_sigterm_ends_the_wait_for_a_source(tmp_path: Path, manager: ServiceManager) -> None:
    process = start_camera(tmp_path, 'source = "/dev/video97"\nheadless = true\nwait = true\n')
    manager.wait_for("READY=1")
    (line,) = stop(process)[1].splitlines()
    assert line.startswith("edge-ssd: warning: no camera at /dev/video97")
    manager.wait_for("STOPPING=1")


def test_sigterm_completes_all_files_within_two_seconds(tmp_path: Path, manager: ServiceManager) -> None:
    """Video, lines, events, snapshots and a spool without a broker, while the camera has just been lost."""
    with MjpegServer(fps=30) as server:
        config = f'''
        source = "{server.url}"
        headless = true
        save-video = "seen.mp4"
        jsonl = "seen.jsonl"
        events = "events.jsonl"
        enter-after = 0.1
        event-snapshots = "snapshots"
        mqtt = "mqtt://127.0.0.1:9"
        mqtt-spool = "spool"
        '''
        process = start_camera(tmp_path, config)
        manager.wait_for("READY=1")
        wait_until(lambda: has_lines(tmp_path / "events.jsonl"))
        server.stop()
        wait_until(lambda: process.stderr.readline().startswith(f"edge-ssd: warning: lost {server.url}"))
        _, err = stop(process)
    assert err.splitlines()[-1].startswith("edge-ssd: ")
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event["kind"] for event in events][:1] == ["enter"]
    assert all(json.loads(line) for line in (tmp_path / "seen.jsonl").read_text().splitlines())
    assert cv2.VideoCapture(str(tmp_path / "seen.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) >= 1
    with closing(sqlite3.connect(tmp_path / "spool")) as spool:
        (kept,) = spool.execute("SELECT COUNT(*) FROM messages").fetchone()
    assert kept == len(events)
    assert [path for path in (tmp_path / "snapshots").iterdir() if path.suffix == ".jpg"]
    assert not list(tmp_path.rglob(".*")), "no temporary files"


ALONE = 'source = "{source}"\nheadless = true\njsonl = "seen.jsonl"\n'
# The second camera is dead from the start, and the third table has no source.
SEVERAL = """
[[cameras]]
name = "Front door"
source = "{source}"
jsonl = "seen.jsonl"
[[cameras]]
name = "Garden"
source = "http://127.0.0.1:9/"
[[cameras]]
name = "Porch"
"""


@pytest.mark.parametrize(
    ("config", "status"),
    [
        (ALONE, r"[1-9][0-9.]* frames per second"),
        (
            SEVERAL,
            r"1 of 3 cameras; Front door: [1-9][0-9.]* frames per second; "
            r"Garden: http://127.0.0.1:9/: no response from 127.0.0.1:9 \(.*; 1 left out",
        ),
    ],
    ids=["alone", "several"],
)
def test_status_has_the_health_and_a_hanging_loop_sends_no_keep_alive(
    config: str, status: str, tmp_path: Path, manager: ServiceManager
) -> None:
    with MjpegServer(fps=30) as server:
        config = config.format(source=server.url)
        process = start_camera(tmp_path, config, "-c", HANGING_CAMERA, REPOSITORY / "tests", watchdog_usec=400_000)
        try:
            manager.wait_for("READY=1")
            manager.wait_for("WATCHDOG=1")
            while not re.fullmatch(f"STATUS={status}", manager.messages[-1]):
                manager.wait_for("STATUS=")
            assert has_lines(tmp_path / "seen.jsonl")
            (tmp_path / "hang").touch()
            time.sleep(0.2)  # The loop handles the next frame and hangs.
            while not manager.is_silent(0.01):
                pass
            assert manager.is_silent(0.8), "no message for twice the watchdog timeout"
        finally:
            process.kill()  # As systemd does.
            process.communicate(timeout=10)


def test_preview_for_others_needs_a_login_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for web in ("0.0.0.0:8080", "[::]:8080"):
        assert run_service("--to", tmp_path, "--web", web) == 2
        assert "needs a token" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert run_service("--to", tmp_path, "--web", "0.0.0.0:8080", "--web-token-file", "/etc/web.token") == 0
    assert run_service("--to", tmp_path, "--web", "8080", "--name", "local") == 0
