"""Events over HTTP: the list, and the files of an event."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clocks import wait_until
from event_factory import LABELS, event, result
from kept_events import BOX, CLIP, KeptEvents
from PIL import Image
from web_camera import Camera, LoopedFrames, clip_frames
from web_client import Answer, decode_jpeg, open_stream, request, server_sent_events

from device_apps.collect.collector import Collector
from device_apps.events.history import EventHistory
from device_apps.jpeg import read_comment
from device_apps.seen_frame import SeenFrame, SeenObject
from device_apps.web.event_api import EventApi


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Camera]:
    events = KeptEvents(tmp_path_factory.mktemp("events"))
    source = LoopedFrames(clip_frames()[:1], None)
    source.paused.set()
    with (
        Collector(tmp_path_factory.mktemp("collected"), LABELS, dict, 10**7) as collector,
        Camera(source=source, events=events, collector=collector) as camera,
    ):
        yield camera
    events.close()


def get(camera: Camera, path: str, **headers: str) -> Answer:
    return request(camera.port, f"/api/events{path}", **headers)


def test_list_has_the_events_newest_first_with_what_there_is_of_them(camera: Camera) -> None:
    answer = get(camera, "").json
    assert [seen["id"] for seen in answer["events"]] == [f"12ab-{number}" for number in (5, 4, 3, 2, 1)]
    urls = {seen["id"]: sorted(seen["urls"]) for seen in answer["events"]}
    assert urls["12ab-1"] == ["clean", "clip", "snapshot", "thumbnail", "verdict"]
    assert urls["12ab-2"] == ["clip", "snapshot", "thumbnail"]
    assert urls["12ab-3"] == urls["12ab-4"] == urls["12ab-5"] == []
    assert (answer["more"], answer["labels"], answer["zones"]) == (False, ["apple", "banana"], ["Bed"])
    for name, url in answer["events"][-1]["urls"].items():
        assert request(camera.port, f"/{url}").status == (405 if name == "verdict" else 200)


def test_list_that_the_page_has_is_not_sent_again(camera: Camera) -> None:
    first = get(camera, "?limit=2")
    again = get(camera, "?limit=2", If_None_Match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert get(camera, "?limit=3", If_None_Match=first.headers["etag"]).status == 200


@pytest.mark.parametrize(
    ("query", "numbers", "more"),
    [
        ("label=apple", [5], False),
        ("zone=Bed&label=apple", [5], False),
        ("zone=Bed&label=banana", [], False),
        ("limit=2", [5, 4], True),
        ("limit=2&before=12ab-4", [3, 2], True),
        ("since=2026-11-24T12:00:04Z", [5, 4], False),
        ("since=2026-11-24T13:00:02.5+01:00&until=2026-11-24T12:00:04", [3], False),
        ("until=1795521602", [1], False),
    ],
)
def test_list_is_filtered(camera: Camera, query: str, numbers: list[int], more: bool) -> None:
    answer = get(camera, f"?{query}").json
    assert [seen["id"] for seen in answer["events"]] == [f"12ab-{number}" for number in numbers]
    assert answer["more"] is more


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=0", "limit must be a whole number from 1 to 200"),
        ("limit=1e3", "limit must be"),
        (
            "since=yesterday",
            "since must be a time such as 2026-11-24T14:00:00Z, or seconds since 1970",
        ),
        ("until=inf", "until must be a time"),
        ("class=apple", "unknown parameter 'class'; parameters are label, zone"),
    ],
)
def test_invalid_query_is_one_line(camera: Camera, query: str, message: str) -> None:
    answer = get(camera, f"?{query}")
    assert answer.status == 400
    assert answer.json["error"].startswith(message)


def test_snapshot_is_shown_with_and_without_boxes_and_small(camera: Camera) -> None:
    whole = get(camera, "/12ab-1").json
    assert (whole["label"], whole["subject"]) == ("banana", {"box": list(BOX), "size": [600, 300]})
    assert "subject" not in get(camera, "/12ab-2").json
    boxes, clean, small = (
        get(camera, f"/12ab-1/{name}") for name in ("snapshot.jpg", "snapshot.jpg?boxes=0", "thumbnail.jpg")
    )
    assert decode_jpeg(boxes.body).shape == decode_jpeg(clean.body).shape == (300, 600, 3)
    assert decode_jpeg(boxes.body).std() > 5 > decode_jpeg(clean.body).std()
    assert decode_jpeg(small.body).shape == (120, 240, 3)
    assert {answer.headers["content-type"] for answer in (boxes, clean, small)} == {"image/jpeg"}
    seen = SeenFrame.from_json(read_comment(clean.body) or b"")
    assert (seen.size, seen.sequence, seen.subject) == ((600, 300), 1, SeenObject("banana", 0.75, BOX))
    assert [found.label for found in seen.objects] == ["banana", "apple"]


GONE = "the image of this event is no longer there: it was deleted, mostly to make room"
NO_CLIP = "the clip of this event is not there: it was deleted, or could not be written"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/12ab-2/snapshot.jpg?boxes=0", "the image without boxes was not kept; --event-snapshots-clean keeps it"),
        ("/12ab-3/snapshot.jpg", GONE),
        ("/12ab-3/snapshot.jpg?boxes=0", GONE),
        ("/12ab-3/thumbnail.jpg", GONE),
        ("/12ab-3/clip.webm", NO_CLIP),
        ("/12ab-4/snapshot.jpg", GONE),
        ("/12ab-4/clip.webm", NO_CLIP),
        ("/12ab-5/snapshot.jpg", "this event has no snapshot; --event-snapshots DIR saves them"),
        ("/12ab-5/clip.webm", "this event has no clip; --event-clips DIR records them"),
        ("/12ab-9/clip.webm", "there is no such event; the newest 2000 are kept"),
        ("/12ab-9", "there is no such event; the newest 2000 are kept"),
        ("/..%2F..%2Fsecret.jpg/snapshot.jpg", "Not Found"),
        ("/%2e%2e/snapshot.jpg", "there is no such event; the newest 2000 are kept"),
    ],
)
def test_what_is_not_there_is_404_and_one_line(camera: Camera, path: str, message: str) -> None:
    answer = get(camera, path)
    assert (answer.status, answer.json) == (404, {"error": message})


def test_clip_is_sent_in_ranges(camera: Camera) -> None:
    whole = get(camera, "/12ab-1/clip.webm")
    assert (whole.status, whole.body, whole.headers["content-type"]) == (200, CLIP, "video/webm")
    assert whole.headers["accept-ranges"] == "bytes"
    for asked, status, body, sent in (
        ("bytes=0-1", 206, CLIP[:2], "bytes 0-1/1024"),  # Safari asks for this first.
        ("bytes=1000-", 206, CLIP[1000:], "bytes 1000-1023/1024"),
        ("bytes=-24", 206, CLIP[-24:], "bytes 1000-1023/1024"),
        ("bytes=1024-", 416, b"", "bytes */1024"),
    ):
        answer = get(camera, "/12ab-1/clip.webm", Range=asked)
        assert (answer.status, answer.body, answer.headers["content-range"]) == (status, body, sent)
    changed = get(camera, "/12ab-1/clip.webm", Range="bytes=0-1", If_Range='"another"')
    assert (changed.status, changed.body) == (200, CLIP)


def test_clip_that_is_being_recorded_is_announced(camera: Camera) -> None:
    events: Any = camera.events
    path = events.clips.clip_for(event(6), 0.0)
    events.add(event(6, clip=path))
    try:
        assert get(camera, "/12ab-6").json["recording"] is True
        answer = get(camera, "/12ab-6/clip.webm")
        assert (answer.status, answer.headers["retry-after"]) == (404, "5")
        assert answer.json["error"] == "the clip is still being recorded; try again later"
    finally:
        events.clips._encoder.put(None)
    wait_until(lambda: not events.clips.is_recording(path.name))
    assert get(camera, "/12ab-6").json["urls"] == {}


def test_damaged_snapshot_is_404(camera: Camera) -> None:
    events: Any = camera.events
    path = events.snapshots.path_for(event(7))
    path.write_bytes(b"\xff\xd8 not an image")
    events.add(event(7, snapshot=path))
    assert get(camera, "/12ab-7/thumbnail.jpg").status == 404
    file = io.BytesIO()
    Image.new("RGB", (9, 9)).save(file, "PNG")
    path.write_bytes(file.getvalue())
    assert get(camera, "/12ab-7/thumbnail.jpg").status == 404, "nothing else than what the program writes is decoded"


def test_image_that_waits_or_is_lost_is_reported(camera: Camera) -> None:
    events: Any = camera.events
    proceed = threading.Event()
    events.snapshots.subscribe(lambda seen, jpeg: proceed.wait(30))
    path, later = (events.snapshots.path_for(event(number)) for number in (9, 10))
    for number, waiting in ((9, path), (10, later)):
        events.snapshots.save(event(number, snapshot=waiting), result(0, number))
        events.add(event(number, snapshot=waiting))
    try:
        assert get(camera, "/12ab-10").json["saving"] is True
        answer = get(camera, "/12ab-10/snapshot.jpg")
        assert (answer.status, answer.headers["retry-after"]) == (404, "1")
        assert answer.json["error"] == "the image is still being written; try again later"
    finally:
        proceed.set()
    wait_until(later.exists)
    answer = get(camera, "/12ab-10").json
    assert ("saving" in answer, "snapshot" in answer["urls"]) == (False, True)
    events.history.update("12ab-10", snapshot=None, snapshot_lost=True)
    lost = "the image of this event was lost: the disk was full, or too slow"
    assert get(camera, "/12ab-10/thumbnail.jpg").json == judge(camera, 10).json == {"error": lost}


def test_event_stream_names_the_files_of_a_new_event(camera: Camera) -> None:
    with open_stream(camera.port, "/events") as response:
        messages = server_sent_events(response)
        while next(messages)[0] != "stats":
            pass
        camera.events.add(event(8, snapshot=Path("any.jpg")))
        data = next(content for kind, content in messages if kind == "event")
    assert data["urls"]["thumbnail"] == "api/events/12ab-8/thumbnail.jpg"
    assert json.dumps(data)


def judge(camera: Camera, number: int, body: bytes = b'{"verdict": "wrong"}', **headers: str) -> Answer:
    path = f"/api/events/12ab-{number}/verdict"
    return request(camera.port, path, "POST", body, **{"Content_Type": "application/json", **headers})


def test_verdict_adds_the_image_to_those_to_train_on(camera: Camera) -> None:
    assert camera.collector is not None
    folder = camera.collector._path
    answer = judge(camera, 1).json
    assert (answer["verdict"], answer["collected"].endswith("-000001-wrong.jpg")) == ("wrong", True)
    assert get(camera, "/12ab-1").json["verdict"] == "wrong"
    assert (folder / "images" / answer["collected"]).read_bytes() == get(camera, "/12ab-1/snapshot.jpg?boxes=0").body
    content = json.loads((folder / "annotations" / "instances.json").read_text())
    names = {category["id"]: category["name"] for category in content["categories"]}
    assert [names[box["category_id"]] for box in content["annotations"]] == ["apple"], "the other one stays"
    assert judge(camera, 1, b'{"verdict": "right"}').json["collected"].endswith("-right.jpg")
    answer = judge(camera, 1, b'{"verdict": null}').json
    assert "verdict" not in answer
    assert "collected" not in answer
    assert list((folder / "images").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "body", "headers", "status", "message"),
    [
        (2, b'{"verdict": "wrong"}', {}, 409, "the image without boxes is not there: it was deleted, or the object"),
        (5, b'{"verdict": "wrong"}', {}, 409, "the image without boxes is not there"),
        (99, b'{"verdict": "wrong"}', {}, 404, "there is no such event"),
        (1, b'{"verdict": "maybe"}', {}, 400, 'verdict must be "right", "wrong" or null'),
        (1, b'{"verdict": ["right"]}', {}, 400, 'verdict must be "right", "wrong" or null'),
        (1, b"[]", {}, 400, 'the body must be {"verdict": ...}'),
        (1, b"{", {}, 400, "the body must be JSON"),
        (1, b'{"verdict": "wrong"}', {"Content_Type": "text/plain"}, 415, "send application/json"),
        (1, b'{"verdict": "wrong"}', {"Origin": "https://evil.example"}, 403, "this was sent by a page of another"),
        (1, b'{"verdict": "wrong"}', {"Sec_Fetch_Site": "cross-site"}, 403, "this was sent by a page of another"),
    ],
)
def test_verdict_that_cannot_be_taken_changes_nothing(
    camera: Camera, number: int, body: bytes, headers: dict[str, str], status: int, message: str
) -> None:
    answer = judge(camera, number, body, **headers)
    assert (answer.status, answer.json["error"][: len(message)]) == (status, message)
    assert "verdict" not in get(camera, "/12ab-1").json


def test_verdicts_need_a_folder_to_collect_in() -> None:
    api = EventApi(EventHistory())
    assert api.saves == {"snapshots": False, "clips": False, "verdicts": False}
    record = {"id": "12ab-1", "snapshot": "a.jpg"}
    assert api.describe(record)["urls"] == {}
