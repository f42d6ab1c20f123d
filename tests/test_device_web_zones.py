"""Endpoints of zones and counts, over HTTP."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from event_factory import result
from real_model import real_model
from web_camera import LogLines, LoopedFrames
from web_client import open_stream, request, server_sent_events

from device_apps.stats import Stats
from device_apps.web.options import add_web_arguments, open_web
from device_apps.zones.active_zones import ActiveZones
from device_apps.zones.monitor import ZoneMonitor
from edge_ssd.runtime.detector import Detector

pytestmark = pytest.mark.timeout(60)

GATE = {"name": "gate", "points": [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]}
DOOR = {"name": "door", "points": [[0.0, 0.5], [1.0, 0.5]], "classes": ["banana"]}
JSON = {"content_type": "application/json"}


class Server:
    """The web preview without a camera."""

    def __init__(self, stack: ExitStack, zones: ZoneMonitor | None) -> None:
        parser = argparse.ArgumentParser()
        add_web_arguments(parser)
        source = LoopedFrames([], 1)
        detector = Detector(real_model(), num_threads=1)
        log = stack.enter_context(LogLines()).lines
        args = parser.parse_args(["--web", "0"])
        open_web(args, source, detector, Stats(source), None, stack, zones=zones)
        self.port = int(log[-1].partition("http://")[2].partition("/")[0].rpartition(":")[2])

    def put(self, body: Any, **headers: str) -> tuple[int, Any]:
        answer = request(self.port, "/api/zones", "PUT", json.dumps(body).encode(), **(headers or JSON))
        return answer.status, answer.json

    def get(self, path: str) -> Any:
        return request(self.port, path).json


@pytest.fixture
def stack() -> Any:
    with ExitStack() as stack:
        yield stack


def monitor(path: Path | None) -> ZoneMonitor:
    active = ActiveZones(path)
    active.check(["banana"])
    return ZoneMonitor(active, ["banana"])


def test_zones_are_saved_used_and_read_again(tmp_path: Path, stack: ExitStack) -> None:
    path = tmp_path / "zones.toml"
    zones = monitor(path)
    server = Server(stack, zones)
    empty = {"zones": [], "lines": [], "masks": [], "problems": [], "labels": ["banana"], "file": str(path)}
    first = server.get("/api/zones")
    assert first == {**empty, "revision": first["revision"]}
    assert server.get("/api/counts") == {"zones": {}, "lines": {}}
    body = {"zones": [GATE], "lines": [DOOR], "masks": []}
    status, saved = server.put(body)
    assert (status, saved) == (200, {**empty, **body, "revision": zones.active.revision})
    assert saved["revision"] != first["revision"]
    assert ActiveZones.open(None, path).shapes == zones.active.shapes

    class Thing:
        key, object_id, label, misses, box = 1, 1, "banana", 0, (10.0, 10.0, 30.0, 30.0)

    zones.update([Thing()], 1.0, result(0, 0).frame.size)
    banana = {"present": True, "count": 1, "dwell_s": 0.0, "visits": 1}
    assert server.get("/api/counts") == {
        "zones": {"gate": {"banana": banana}},
        "lines": {"door": {"banana": {"in": 0, "out": 0}}},
    }
    with open_stream(server.port, "/events") as response:
        states = {}
        for kind, data in server_sent_events(response):
            states[kind] = data
            if {"zones", "counts"} <= states.keys():
                break
    assert states["zones"] == saved
    assert states["counts"]["zones"] == {"gate": {"banana": banana}}


def test_invalid_zones_are_refused_and_nothing_changes(tmp_path: Path, stack: ExitStack) -> None:
    path = tmp_path / "zones.toml"
    server = Server(stack, monitor(path))
    body: dict[str, Any] = {"zones": [], "lines": [], "masks": []}
    two = {"name": "gate", "points": [[0, 0], [1, 1]]}
    for wrong, status, message in (
        ({**body, "zones": [two]}, 400, "zone 'gate': a polygon needs at least 3 points, got 2"),
        (
            {**body, "lines": [DOOR | {"classes": ["pear"]}]},
            400,
            "line 'door': there is no class 'pear'; the model knows",
        ),
        ({"zones": []}, 400, "lines is missing"),
        ([], 400, "the body must be a JSON object"),
    ):
        answer = server.put(wrong)
        assert (answer[0], answer[1]["error"][: len(message)]) == (status, message)
    assert server.put(body, content_type="text/plain") == (415, {"error": "send application/json"})
    assert request(server.port, "/api/zones", "PUT", b"{", **JSON).json == {"error": "the body must be JSON"}
    assert request(server.port, "/api/zones", "PUT", b"[" * 50_000, **JSON).status == 400
    assert request(server.port, "/api/zones", "PUT", b" " * 70_000, **JSON).status == 413
    assert server.put(body, **JSON, origin="http://elsewhere.example")[0] == 403
    assert not path.exists()


def test_viewer_does_not_overwrite_what_another_has_saved(tmp_path: Path, stack: ExitStack) -> None:
    path = tmp_path / "zones.toml"
    server = Server(stack, monitor(path))
    both = server.get("/api/zones")["revision"]
    first, second = {"zones": [GATE], "lines": [], "masks": []}, {"zones": [], "lines": [DOOR], "masks": []}
    status, saved = server.put(first, **JSON, if_match=f'"{both}"')
    assert status == 200
    text = path.read_text()
    status, refused = server.put(second, **JSON, if_match=f'"{both}"')
    assert (status, refused) == (412, {"error": "the zones were changed meanwhile; read them again with GET"})
    assert server.get("/api/zones") == saved
    assert path.read_text() == text
    again = request(server.port, "/api/zones")
    assert again.headers["etag"] == f'"{saved["revision"]}"'
    assert server.put(second, **JSON, if_match=again.headers["etag"])[0] == 200
    assert server.put(first, **JSON, if_match="*")[1] == saved, "the same zones have the same revision"


def test_zones_without_a_file_to_save_to(stack: ExitStack) -> None:
    server = Server(stack, monitor(None))
    answer = server.put({"zones": [GATE], "lines": [], "masks": []})
    assert answer == (409, {"error": "there is no file to save zones to; start edge-ssd with --zones-file FILE"})
