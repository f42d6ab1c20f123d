"""Several cameras in one process: their tables, their turns, their outputs, and the pages of all of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clocks import wait_until
from conftest import CLIP
from device_fake import RedDetector, write_moving_square
from event_factory import event
from processes import start_python
from selenium import webdriver
from selenium.webdriver.common.by import By
from web_browser import DESKTOP, PHONE, accessibility_faults, colors, fits_width, live, page_size, wait
from web_client import decode_jpeg, preview_port, request

from device_apps import camera_command
from device_apps.cameras.loop import run_turns
from device_apps.events.history import EventHistory
from device_apps.web.all_events import AllEvents
from device_apps.web.event_api import EventApi
from device_apps.zones.shapes import Zone, ZoneSet
from device_apps.zones.toml_edit import replace_zones
from edge_ssd import cli
from edge_ssd.errors import SettingError
from edge_ssd.runtime.shipped_models import find_model

CAMERAS = """\
events = "seen.jsonl"
enter-after = "2f"
jsonl = "-"

[[cameras]]
name = "Front door"
source = "images"

[[cameras.zones]]
name = "left"
points = [[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]

# Behind the house.
[[cameras]]
name = "Garden"
source = "images"
events = "garden.jsonl"
max-frames = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five images of a red square that moves to the right."""
    monkeypatch.setattr(camera_command, "make_detector", lambda args: RedDetector())
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    write_moving_square(tmp_path / "images", 5)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], text: str, *options: str) -> tuple[int, list[str], list[str]]:
    Path("cameras.toml").write_text(text)
    status = cli.main(["camera", "--config", "cameras.toml", *options])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err.splitlines()


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_camera_has_its_turns_outputs_and_zones(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, CAMERAS)
    assert status == 0, err
    results = [json.loads(line) for line in out]
    assert [line["camera"] for line in results if line["camera"] == "Garden"] == ["Garden"] * 3
    assert len(results) == 8
    door = read_lines(folder / "front_door" / "seen.jsonl")
    assert [event["kind"] for event in door if event["kind"] != "zone_leave"] == ["enter", "zone_enter", "leave"]
    garden = read_lines(folder / "garden.jsonl")
    assert [event["kind"] for event in garden] == ["enter", "leave"], "this camera has no zone"
    assert {event["camera"] for event in door} == {"Front door"}
    assert {event["camera"] for event in garden} == {"Garden"}
    assert sorted(line.partition(":")[0] for line in err) == ["edge-ssd"] * 2
    assert any(line.startswith("edge-ssd: camera 'Garden': 3 frames") for line in err)


def test_lost_snapshots_are_in_the_exit_status(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    single = ["camera", "--source", "images", "--headless", "--enter-after", "2f", "--event-snapshots", "one"]
    several = CAMERAS.replace('jsonl = "-"', 'event-snapshots = "several"')
    assert (cli.main(single), run(capsys, several)[0]) == (0, 0)
    monkeypatch.setattr("device_apps.events.snapshot_store._MAX_BYTES", 0)
    assert (cli.main(single), run(capsys, several)[0]) == (2, 2)


STILL = """\
jsonl = "-"
motion-gate = true
motion-gate-interval = 60
[[cameras]]
name = "Gated"
source = "still"
[[cameras]]
name = "Own interval"
source = "still"
motion-gate-interval = 2
[[cameras]]
name = "Each frame"
source = "still"
motion-gate = false
"""


def test_motion_gate_is_that_of_each_camera(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "still").mkdir()
    for number in range(6):
        shutil.copy(folder / "images" / "0.png", folder / "still" / f"{number}.png")
    status, out, err = run(capsys, STILL)
    assert status == 0, err
    still: dict[str, list[bool]] = {}
    for result in map(json.loads, out):
        assert len(result["detections"]) == 1
        still.setdefault(result["camera"], []).append("invoke" not in result["ms"])
    assert still == {
        "Gated": [False] + [True] * 5,  # Images of a folder are a second apart.
        "Own interval": [False, True, False, True, False, True],
        "Each frame": [False] * 6,
    }
    assert len(run(capsys, STILL, "--motion-gate-interval", "1")[1]) == 18, "the command line overrides all"


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ('name = "garden"\nsource = "images"', "an earlier camera, 'Garden', is 'garden' in paths too; give"),
        (
            'name = "Garden"\nsource = "images"',
            "camera 'Garden': an earlier camera has the same name; give this one another name",
        ),
        ('name = "Three"', "it has no source, such as source = "),
        ('name = " "\nsource = "images"', "--name must be one line of 1 to 60 characters, got ''"),
        (
            'name = "Three"\nsource = "images"\nweb = "8080"',
            "web is for all cameras together; write it above",
        ),
        ('name = "Three"\nsource = "images"\nfsp = 3', "there is no setting 'fsp'; did you mean 'fps'?"),
        ('name = "Three"\nsource = "images"\nevents = "garden.jsonl"', "that of camera 'Garden' too; give each camera"),
        (
            'name = "Three"\nsource = "images"\nevents = "-"',
            "--events - and --jsonl - would both write",
        ),
        ('name = "Three"\nsource = "images"\nwidth = 0', "--width must be a whole number from 1, got 0"),
        (
            'name = "Three"\nsource = "images"\nloop = true\nwidth = 9',
            "images: width and height are options of",
        ),
        ('name = "Three"\nsource = " "', "--source is empty; give an image, a folder"),
        ('name = "Three"\nsource = "images"\nclasses = []', "classes has no value; leave it out"),
        (f'name = "Three"\nsource = "images"\nevents = "{"x" * 300}"', ": File name too long; it is left out"),
        ('name = "Three"\nsource = "images"\n[[cameras.cameras]]', "[[cameras.cameras]] is no table of a camera"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_bad_table_is_one_line_and_the_others_run(table: str, problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, f"{CAMERAS}\n[[cameras]]\n{table}\n")
    assert (status, len(out), len(err)) == (2, 8, 3), err
    assert problem in err[0]
    assert err[0].endswith("; it is left out")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("cameras = []", [], "there is no camera in it; begin each with [[cameras]], its name and its source"),
        ("cameras = 4", [], "cameras must be tables, each of which begins with [[cameras]]"),
        (f'source = "0"\n{CAMERAS}', [], "source is an option of one camera; write it after its [[cameras]]"),
        (f"zones = []\n{CAMERAS}", [], "[[zones]] belongs to a camera; write [[cameras.zones]] after its table"),
        (CAMERAS, ["--source", "0"], "--source: each camera of cameras.toml has its own; leave it out"),
        (CAMERAS, ["--show"], "--show: several cameras have no window; --web 8080 shows all of them on one page"),
        (CAMERAS, ["--web-root-path", "/x"], "--web-root-path has no effect without --web; add --web 8080"),
        (CAMERAS, ["--score-threshold", "50"], "--score-threshold must be a number from 0 to 1, got 50: 50 % is 0.5"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_mistake_in_what_cameras_share_is_one_line(
    text: str, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, text, *options)
    assert (status, out) == (2, [])
    assert message in err[0], err
    assert len([line for line in err if "error" in line]) == 1


class FakeCamera:
    def __init__(self, frames: int, served: list[str], name: str) -> None:
        self.left, self.served, self.name = frames, served, name

    @property
    def ended(self) -> bool:
        return self.left == 0

    def take_turn(self) -> bool:
        if self.left is None:  # It is away.
            return False
        self.left -= 1
        self.served.append(self.name)
        return True

    def close(self) -> None:
        self.served.append(f"{self.name} closed")


def test_turns_are_fair_and_a_camera_that_is_away_delays_none() -> None:
    served: list[str] = []
    cameras = [FakeCamera(3, served, "a"), FakeCamera(None, served, "away"), FakeCamera(2, served, "b")]
    stop, turns = threading.Event(), []

    def on_turn() -> None:
        turns.append(len(served))
        if len(turns) == 4:
            stop.set()

    assert run_turns(cameras, stop=stop, wake=threading.Event(), on_turn=on_turn) is None
    assert [name for name in served if "closed" not in name] == ["a", "b", "a", "b", "a"]
    wait_until(lambda: {"a closed", "b closed"} <= set(served))


def test_zones_of_a_camera_are_saved_in_its_table() -> None:
    door = ZoneSet(zones=(Zone("door", ((0, 0), (1, 0), (1, 1))),))
    table = '\n[[cameras.zones]]\nname = "door"\npoints = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]\n'
    first, _, second = CAMERAS.partition("# Behind")
    edited = replace_zones(CAMERAS, door, camera=1)
    assert edited == CAMERAS + table
    assert replace_zones(edited, ZoneSet(), camera=1) == CAMERAS
    edited = replace_zones(CAMERAS, door, camera=0)
    assert edited == f"{first.partition('[[cameras.zones]]')[0].rstrip()}\n{table}\n# Behind{second}"
    with pytest.raises(SettingError, match=r"write each as \[\[cameras.zones\]\]"):
        replace_zones('cameras = [{name = "a", source = "0"}]', door, camera=0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of :func:`port`, which is watched."""
    return Path(shutil.copy(find_model("banana"), tmp_path_factory.mktemp("model") / "model.tflite"))


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[int]:
    """The command with a clip as a camera, and one that is dead from the start; yields the port of its pages."""
    config = tmp_path_factory.mktemp("several") / "cameras.toml"
    config.write_text(
        f"""\
web = "0"
threads = 1
event-snapshots = {json.dumps(str(config.parent / "snapshots"))}
collect = {json.dumps(str(config.parent / "collected"))}
model = {json.dumps(str(model))}
watch-model = true
[[cameras]]
name = "Front door"
source = {json.dumps(str(CLIP))}
loop = true
[[cameras]]
name = "Garden"
source = "http://127.0.0.1:9/"
"""
    )
    process: subprocess.Popen[str] = start_python("-m", "edge_ssd", "camera", "--config", str(config), stdout=None)
    try:
        port = preview_port(process)
        wait_until(lambda: request(port, "/healthz").status == 200)
        yield port
    finally:
        process.terminate()
        errors = process.stderr.read()
        assert process.wait(30) == 0, errors
        process.stderr.close()
    assert "camera 'Garden': http://127.0.0.1:9/: no response from 127.0.0.1:9 (Connection refused)" in errors


def test_pages_and_states_of_all_cameras(port: int) -> None:
    door, garden = request(port, "/api/cameras").json["cameras"]
    assert (door["name"], door["path"], door["status"]["state"]) == ("Front door", "cameras/front_door/", "live")
    assert (garden["name"], garden["frames"], garden["status"]["healthy"]) == ("Garden", 0, False)
    assert garden["status"]["state"] == "unavailable"
    assert "Connection refused" in garden["status"]["reason"]
    health = request(port, "/healthz").body.decode().splitlines()
    assert health[0] == "front_door: ok"
    assert health[1].startswith("garden: http://127.0.0.1:9/: no response")
    assert request(port, "/cameras/garden/healthz").status == 503
    metrics = request(port, "/metrics").body.decode()
    assert 'edge_ssd_healthy{camera="front_door"} 1\nedge_ssd_healthy{camera="garden"} 0\n' in metrics
    assert metrics.count("# TYPE edge_ssd_healthy ") == metrics.count("\nprocess_resident_memory_bytes ") == 1
    assert 'edge_ssd_stage_duration_seconds{camera="front_door",stage="detect",quantile="0.5"} ' in metrics
    assert max(decode_jpeg(request(port, "/cameras/front_door/thumbnail.jpg").body).shape) == 400
    assert request(port, "/cameras/garden/thumbnail.jpg").status == 503
    assert request(port, "/cameras/front_door/api/stats").json["frames"] > 0
    settings = request(
        port, "/cameras/front_door/api/settings", "POST", b'{"score_threshold": 0.3}', Content_Type="application/json"
    )
    assert settings.json["score_threshold"] == 0.3
    assert request(port, "/cameras/garden/api/settings").json["score_threshold"] == 0.5
    zones = json.dumps({"zones": [], "lines": [{"name": "gate", "points": [[0, 0.5], [1, 0.5]]}], "masks": []}).encode()
    saved = request(port, "/cameras/garden/api/zones", "PUT", zones, Content_Type="application/json").json
    assert Path(saved["file"]).read_text().partition('name = "Garden"')[2].count("[[cameras.lines]]") == 1
    assert request(port, "/cameras/front_door/api/zones").json["lines"] == []
    assert request(port, "/cameras/front_door").headers["location"] == "/cameras/front_door/"
    assert request(port, "/cameras/front_door/login").headers["location"] == "/login"
    assert request(port, "/cameras/nothing/").status == 404


def test_new_model_file_is_used_by_all_cameras(port: int, model: Path) -> None:
    def digests() -> set[str]:
        return {request(port, f"/cameras/{name}/api/stats").json["model_sha256"] for name in ("front_door", "garden")}

    before = digests()
    frames = request(port, "/cameras/front_door/api/stats").json["frames"]
    shutil.copy(find_model("banana-nano"), model)
    wait_until(lambda: not digests() & before)
    assert len(digests()) == 1
    wait_until(lambda: request(port, "/cameras/front_door/api/stats").json["frames"] > frames)


def test_events_of_all_cameras_are_one_list(port: int) -> None:
    page = request(port, "/events", Accept="text/html").body.decode()
    assert "<title>Events" in page
    wait_until(lambda: request(port, "/api/events").json["events"])
    answer = request(port, "/api/events?limit=1").json
    (seen,) = answer["events"]
    assert (seen["camera"], answer["cameras"]) == ("Front door", ["Front door", "Garden"])
    assert request(port, f"/api/events/{seen['id']}").json["id"] == seen["id"]
    assert request(port, "/api/events?camera=Garden").json["events"] == []
    assert request(port, "/api/events/none").status == 404
    assert request(port, "/api/events?cam=Garden").json["error"].endswith("before, limit, camera")


def test_events_of_all_cameras_are_paged_by_time() -> None:
    histories = [EventHistory() for _ in range(3)]
    for number in range(60):
        # Two of each second, in different cameras.
        histories[(number // 2) % 3].publish(event(number // 2, object_id=number, label=str(number)))
        histories[(number // 2 + 1) % 3].publish(replace(event(number // 2), run="34cd"))
    apis = {f"cameras/{slug}/": EventApi(history, camera=slug) for slug, history in zip("abc", histories, strict=True)}
    assert AllEvents({})._answer(None, {})["events"] == []
    every = AllEvents(apis)._answer(None, {"limit": 200})["events"]
    times = [seen["time"] for seen in every]
    assert times == sorted(times, reverse=True)
    assert len({seen["id"] for seen in every}) == len(every)
    for size in (1, 7):
        paged: list[dict[str, Any]] = []
        query: dict[str, Any] = {}
        while True:
            answer = AllEvents(apis)._answer(None, {**query, "limit": size})
            paged += answer["events"]
            if not answer["more"]:
                break
            query = {"before": paged[-1]["id"]}
        assert paged == every
    of_one = AllEvents(apis)._answer("b", {"limit": 200})["events"]
    assert of_one == [seen for seen in every if seen["camera"] == "b"]


def test_overview_shows_all_cameras_and_leads_to_each(browser: webdriver.Chrome, port: int) -> None:
    browser.get(f"http://127.0.0.1:{port}/")
    wait(browser, lambda b: b.find_element(By.ID, "summary").text == "1 of 2 live")
    first, second = browser.find_elements(By.CSS_SELECTOR, "#cameras li")
    assert second.find_element(By.CLASS_NAME, "chip").text == "Not available"
    assert "Connection refused" in second.text
    assert second.find_element(By.TAG_NAME, "a").accessible_name.startswith("Garden")
    wait(browser, lambda b: b.execute_script("return document.querySelector('#cameras img').naturalWidth") == 400)
    for size, columns in ((PHONE, 1), (DESKTOP, 2)):
        with page_size(browser, size):
            assert accessibility_faults(browser) == []
            assert fits_width(browser)
            lefts = {item.rect["x"] for item in browser.find_elements(By.CSS_SELECTOR, "#cameras li")}
            assert len(lefts) == columns
    with colors(browser, "dark"):
        assert accessibility_faults(browser) == []
    first.find_element(By.TAG_NAME, "a").click()
    wait(browser, live)
    assert browser.find_element(By.ID, "name").text == "Front door"
    browser.find_element(By.LINK_TEXT, "All cameras").click()
    wait(browser, lambda b: b.find_element(By.ID, "summary").text == "1 of 2 live")
    assert not [entry for entry in browser.get_log("browser") if "Content Security Policy" in entry["message"]]


def test_event_of_a_camera_is_judged_on_the_page_of_all(browser: webdriver.Chrome, port: int) -> None:
    browser.get(f"http://127.0.0.1:{port}/events")
    wait(browser, lambda b: b.find_elements(By.CSS_SELECTOR, "#list .event"))
    events = request(port, "/api/events").json["events"]
    seen = next(seen for seen in events if "verdict" in seen["urls"])
    browser.execute_script("openEvent(arguments[0])", seen["id"])
    wrong = browser.find_element(By.ID, "wrong")
    wait(browser, lambda b: wrong.is_displayed())
    wrong.click()
    wait(browser, lambda b: b.find_element(By.ID, "verdict-answer").text == "Saved: wrong.")
    image = browser.find_element(By.ID, "snapshot").get_attribute("src")
    assert f"/cameras/front_door/api/events/{seen['id']}/snapshot.jpg" in image
    record = request(port, f"/api/events/{seen['id']}").json
    assert (record["verdict"], record["camera"]) == ("wrong", "Front door")
    wrong.click()
    wait(browser, lambda b: b.find_element(By.ID, "verdict-answer").text == "Withdrawn.")
