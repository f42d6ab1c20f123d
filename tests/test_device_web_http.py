"""The endpoints over real connections, with the shipped model on the shipped clip."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest
from clocks import wait_until
from test_device_web_metrics import parse
from web_camera import Camera, LoopedFrames, RecentEvents, SeenEvent, clip_frames
from web_client import decode_jpeg, live_messages, mjpeg_images, open_stream, request, send_raw, server_sent_events

from device_apps.jpeg import encode_jpeg
from device_apps.sources.opencv import open_stream as open_opencv_stream
from device_apps.web.limits import WebLimits
from device_apps.web.live import frame_encoder
from edge_ssd.errors import EdgeSSDError
from edge_ssd.version import __version__


@pytest.fixture(scope="module")
def camera() -> Iterator[Camera]:
    with Camera(events=RecentEvents()) as camera:
        wait_until(lambda: camera.stats.snapshot().frames > 3)
        yield camera


@pytest.fixture(autouse=True)
def settings_as_they_were(camera: Camera) -> Iterator[None]:
    yield
    camera.detector.configure(score_threshold=None, classes=None)


def test_page_is_self_contained(camera: Camera) -> None:
    answer = request(camera.port, "/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    text = answer.body.decode()
    assert "<script src" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", ""), "no external address"
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["script-src"].startswith("'sha256-")
    assert policy["style-src"].startswith("'sha256-")
    assert "unsafe" not in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/", "/api/stats", "/healthz", "/metrics", "/snapshot.jpg", "/nothing", "/stream"])
def test_every_response_has_security_headers(camera: Camera, path: str) -> None:
    headers = request(camera.port, path, "HEAD").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers


def test_mjpeg_stream_moves_and_has_boxes(camera: Camera) -> None:
    with open_stream(camera.port, "/stream") as response:
        assert response.headers.get_content_type() == "multipart/x-mixed-replace"
        jpegs = mjpeg_images(response)
        first, second = decode_jpeg(next(jpegs)), decode_jpeg(next(jpegs))
        assert first.shape == (360, 480, 3)
        assert (first != second).any()
        green = [(frame.astype(int) @ (-1, 2, -1) > 300).sum() for frame in (first, second)]
    assert min(green) > 100, "boxes of the first class are bright green, which the clip is not"
    assert max((frame.astype(int) @ (-1, 2, -1) > 300).sum() for frame in clip_frames()) < 10


def test_mjpeg_stream_never_repeats_a_frame(camera: Camera) -> None:
    camera.source.paused.set()
    wait_until(lambda: camera.source.silent)
    try:
        with open_stream(camera.port, "/stream") as response:
            jpegs = mjpeg_images(response)
            first = next(jpegs)
            response.fp.raw._sock.settimeout(0.5)
            with pytest.raises(TimeoutError):
                next(jpegs)
        with open_stream(camera.port, "/stream") as response:
            assert next(mjpeg_images(response)) == first, "new viewers get the last frame"
    finally:
        camera.source.paused.clear()


def test_frame_rate_is_limited() -> None:
    with Camera("--web-fps", "8", source=LoopedFrames(clip_frames(), 50)) as camera:
        with open_stream(camera.port, "/stream") as response:
            jpegs = mjpeg_images(response)
            next(jpegs)
            start = time.monotonic()
            for _ in range(6):
                next(jpegs)
        # Six periods, minus the delay of the first frame.
        assert time.monotonic() - start > 5 / 8


def test_snapshot_has_the_full_size() -> None:
    large = [np.repeat(np.repeat(frame, 2, axis=0), 2, axis=1) for frame in clip_frames()[:5]]
    with Camera(source=LoopedFrames(large, 10)) as camera:
        answer = request(camera.port, "/snapshot.jpg")
        assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
        assert decode_jpeg(answer.body).shape == (720, 960, 3)
        with open_stream(camera.port, "/stream") as response:
            assert decode_jpeg(next(mjpeg_images(response))).shape == (480, 640, 3), "the live image is smaller"


def test_event_stream_sends_states_and_events(camera: Camera) -> None:
    camera.events.add(SeenEvent("enter", 1, "banana", score=0.9))
    with open_stream(camera.port, "/events") as response:
        assert response.headers.get_content_type() == "text/event-stream"
        messages = server_sent_events(response)
        first = dict(next(messages) for _ in range(4))
        assert first["about"]["version"] == __version__
        assert first["about"]["model"] == "banana.tflite"
        assert first["settings"]["labels"] == ["banana"]
        assert [event["object_id"] for event in first["recent"]] == [1]
        assert first["stats"]["status"] == {"state": "live", "healthy": True, "reason": ""}
        camera.events.add(SeenEvent("leave", 1, "banana", duration_s=1.5))
        request(camera.port, "/api/settings", "POST", b'{"score_threshold": 0.25}', Content_Type="application/json")
        seen = {}
        while not {"event", "settings", "stats"} <= set(seen):
            kind, seen[kind] = next(messages)
        assert (seen["event"]["kind"], seen["event"]["duration_s"]) == ("leave", 1.5)
        assert seen["settings"]["score_threshold"] == 0.25
        assert seen["stats"]["frames"] > first["stats"]["frames"]
        camera.detector.replace_model("banana-nano")
        try:
            about = next(data for kind, data in messages if kind == "about")
            assert about["model"] == "banana-nano.tflite"
            stats = request(camera.port, "/api/stats").json
            assert stats["model_sha256"] == about["model_sha256"] != first["about"]["model_sha256"]
            assert next(data for kind, data in messages if kind == "settings")["score_threshold"] == 0.25
        finally:
            camera.detector.replace_model("banana")
        assert next(data for kind, data in messages if kind == "settings")["labels"] == ["banana"]


def test_live_stream_has_messages_and_frames_without_boxes(camera: Camera) -> None:
    with open_stream(camera.port, "/live") as response:
        assert request(camera.port, "/api/stats").json["viewers"] == 1
        messages = live_messages(response)
        first = [next(messages) for _ in range(4)]
        assert [message["kind"] for message in first] == ["about", "settings", "recent", "stats"]
        assert not any(message["jpeg"] for message in first)
        frame = next(message for message in messages if message["kind"] == "frame")
        assert frame["data"]["size"] == [480, 360]
        assert 0 <= frame["sent"] - frame["data"]["captured"] < 5
        detections = frame["data"]["detections"]
        assert [detection[:2] for detection in detections] == [[0, "banana"]] * len(detections)
        assert all(0.5 <= detection[2] <= 1 and len(detection[3]) == 4 for detection in detections)
        image = decode_jpeg(frame["jpeg"])
        assert image.shape == (360, 480, 3)
        assert (image.astype(int) @ (-1, 2, -1) > 300).sum() < 10, "the page draws the boxes"
        request(camera.port, "/api/settings", "POST", b'{"score_threshold": 0.25}', Content_Type="application/json")
        assert next(m for m in messages if m["kind"] == "settings")["data"]["score_threshold"] == 0.25


def test_new_viewer_gets_statistics_of_now(camera: Camera) -> None:
    with open_stream(camera.port, "/events") as response:
        first = next(data for kind, data in server_sent_events(response) if kind == "stats")
    frames = camera.stats.snapshot().frames
    wait_until(lambda: camera.stats.snapshot().frames > frames + 5)
    with open_stream(camera.port, "/events") as response:
        second = next(data for kind, data in server_sent_events(response) if kind == "stats")
    assert second["frames"] > max(first["frames"], frames)


def test_settings_are_applied_for_all_viewers(camera: Camera) -> None:
    before = request(camera.port, "/api/settings")
    assert before.json["score_threshold"] == 0.5
    change = b'{"score_threshold": 0.99}'
    answer = request(camera.port, "/api/settings", "POST", change, Content_Type="application/json; charset=utf-8")
    assert answer.status == 200
    assert answer.json["score_threshold"] == camera.detector.min_score_threshold == 0.99
    assert request(camera.port, "/api/settings").json == answer.json
    refused = request(camera.port, "/api/settings", "POST", b'{"classes": ["apple"]}', Content_Type="application/json")
    assert refused.status == 400
    assert "has no class 'apple'" in refused.json["error"]
    assert request(camera.port, "/api/settings").json == answer.json


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_settings_require_json(camera: Camera, kind: str | None) -> None:
    headers = {} if kind is None else {"Content_Type": kind}
    assert request(camera.port, "/api/settings", "POST", b'{"score_threshold": 0.99}', **headers).status == 415
    assert camera.detector.min_score_threshold == 0.5


def test_stats_and_metrics_agree(camera: Camera) -> None:
    stats = request(camera.port, "/api/stats").json
    assert stats["frames"] > 0
    assert {"preprocess", "invoke", "postprocess", "detect", "age"} <= set(stats["ms"])
    answer = request(camera.port, "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = parse(answer.body.decode())
    assert families["edge_ssd_frames_total"][1][""] >= stats["frames"]
    assert families["edge_ssd_healthy"][1][""] == 1
    assert 0 < families["edge_ssd_stage_duration_seconds"][1]['stage="invoke",quantile="0.5"'] < 5
    model = f'model="banana.tflite",model_sha256="{stats["model_sha256"]}"'
    build = f'version="{__version__}",{model},backend="{camera.detector.backend}"'
    assert families["edge_ssd_build_info"][1] == {build: 1}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/", {"GET", "HEAD"}),
        ("DELETE", "/api/settings", {"GET", "HEAD", "POST"}),
        ("PUT", "/stream", {"GET", "HEAD"}),
        ("POST", "/metrics", {"GET", "HEAD"}),
        ("OPTIONS", "/api/settings", {"GET", "HEAD", "POST"}),
    ],
)
def test_unsupported_methods_are_refused(camera: Camera, method: str, path: str, allowed: set[str]) -> None:
    answer = request(camera.port, path, method)
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize("path", ["/nothing", "/login", "/logout", "/api/", "/..%2f..%2fetc/passwd", "/page.html"])
def test_unknown_paths_are_404(camera: Camera, path: str) -> None:
    answer = request(camera.port, path)
    assert (answer.status, answer.json) == (404, {"error": "Not Found"})


# Names of other machines, as after DNS rebinding.
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1", "192.168.1.20", "a@b"]
)
@pytest.mark.parametrize("path", ["/", "/stream", "/api/stats", "/login"])
def test_foreign_host_names_are_refused(camera: Camera, host: str, path: str) -> None:
    answer = request(camera.port, path, Host=host)
    assert answer.status == 421
    assert "this machine's own names" in answer.json["error"]


@pytest.mark.parametrize("host", ["localhost", "LocalHost:9000", "127.0.0.1", "127.0.0.1:1", "[::1]:8080"])
def test_loopback_host_names_are_accepted(camera: Camera, host: str) -> None:
    assert request(camera.port, "/api/stats", Host=host).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost:7000"}, 200),
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        *(
            ({"Origin": origin}, 403)
            for origin in ("http://localhost", "http://localhost:7001", "http://evil.example", "null", "")
        ),
        *(({"Sec_Fetch_Site": site}, 403) for site in ("cross-site", "same-site")),
    ],
)
def test_cross_origin_requests_change_nothing(camera: Camera, headers: dict[str, str], status: int) -> None:
    headers = {"Host": "localhost:7000", "Content_Type": "application/json", **headers}
    answer = request(camera.port, "/api/settings", "POST", b'{"score_threshold": 0.7}', **headers)
    assert answer.status == status
    assert camera.detector.min_score_threshold == (0.7 if status == 200 else 0.5)


def test_large_bodies_are_refused(camera: Camera) -> None:
    head = b"POST /api/settings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    answer = send_raw(camera.port, head + b"Content-Length: 70000\r\n\r\n" + b" " * 70_000)
    assert answer.startswith(b"HTTP/1.1 413 ")
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    answer = send_raw(camera.port, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + chunk)
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # The beginning of TLS.
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"POST /api/settings HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/settings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /api/settings HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nBad Name: 1\r\n\r\n",
    ],
)
def test_malformed_requests_are_refused(camera: Camera, data: bytes) -> None:
    assert send_raw(camera.port, data).startswith(b"HTTP/1.1 400 ")
    assert request(camera.port, "/healthz").status == 200


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", b"GET /"])
def test_endless_headers_are_cut(camera: Camera, start: bytes) -> None:
    with socket.create_connection(("127.0.0.1", camera.port), timeout=30) as connection:
        connection.sendall(start)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):  # noqa: PT012 (any send may fail)
            for _ in range(1000):
                connection.sendall(b"x" * 65536)
    assert request(camera.port, "/healthz").status == 200


def test_websocket_upgrade_is_ignored(camera: Camera) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    assert request(camera.port, "/stream", "HEAD", **headers).status == 200
    assert request(camera.port, "/nothing", **headers).status == 404


def test_viewers_are_limited(camera: Camera) -> None:
    with ExitStack() as stack:
        for _ in range(32):
            response = stack.enter_context(open_stream(camera.port, "/stream"))
            assert response.status == 200
        assert request(camera.port, "/api/stats").json["viewers"] == 32
        answer = request(camera.port, "/stream")
        assert (answer.status, answer.json) == (503, {"error": "32 viewers are connected; try again later"})
        assert answer.headers["retry-after"] == "5"
        with open_stream(camera.port, "/events") as events:
            assert events.status == 200, "the event stream has a limit of its own"
    wait_until(lambda: request(camera.port, "/api/stats").json["viewers"] == 0)  # Closed connections are freed.
    with open_stream(camera.port, "/stream") as response:
        assert response.status == 200


@pytest.mark.parametrize("from_addresses", [1, 4])
def test_half_open_connections_keep_nobody_out(camera: Camera, from_addresses: int) -> None:
    with open_stream(camera.port, "/stream") as response, ExitStack() as stack:
        jpegs = mjpeg_images(response)
        next(jpegs)
        silent = []
        for i in range(250):
            address = (f"127.0.0.{1 + i % from_addresses}", 0)
            connection = socket.create_connection(("127.0.0.1", camera.port), source_address=address)
            silent.append(stack.enter_context(connection))
            if i % 2:
                connection.sendall(b"GET / HTTP/1.1\r\nX-Half: ")
        silent[0].settimeout(30)
        with contextlib.suppress(ConnectionResetError):
            assert silent[0].recv(1) == b"", "the oldest is closed"
        silent[-1].settimeout(0.1)
        with pytest.raises(TimeoutError):
            silent[-1].recv(1)
        assert request(camera.port, "/healthz").status == 200
        next(jpegs)
        with open_stream(camera.port, "/events") as events:
            next(server_sent_events(events))
        open_ones = sum(is_open(connection) for connection in silent)
        assert open_ones <= {1: 64, 4: 200}[from_addresses]


def is_open(connection: socket.socket) -> bool:
    connection.settimeout(0.01)
    try:
        return connection.recv(1) != b""
    except TimeoutError:
        return True
    except ConnectionResetError:
        return False


def test_frames_are_encoded_only_for_viewers(camera: Camera, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_until(lambda: request(camera.port, "/api/stats").json["viewers"] == 0)
    encoded = []
    monkeypatch.setattr(frame_encoder, "encode_jpeg", lambda *args: encoded.append(args) or encode_jpeg(*args))
    time.sleep(0.3)
    encoded.clear()  # Requested by the last viewer of another test.
    frames = camera.stats.snapshot().frames
    wait_until(lambda: camera.stats.snapshot().frames > frames + 10)
    assert encoded == []
    with ExitStack() as stack:
        streams = [mjpeg_images(stack.enter_context(open_stream(camera.port, "/stream"))) for _ in range(5)]
        for jpegs in streams:
            next(jpegs)
        encoded.clear()
        images = [[next(jpegs) for _ in range(4)] for jpegs in streams]
    assert len(encoded) <= 4 + len(streams), "each frame is encoded once for all viewers"
    assert len({jpeg for viewer in images for jpeg in viewer}) <= len(encoded) + 1


def test_slow_viewer_skips_frames_and_delays_no_other(camera: Camera) -> None:
    with socket.create_connection(("127.0.0.1", camera.port)) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with open_stream(camera.port, "/stream") as response:
            jpegs = mjpeg_images(response)
            for _ in range(20):
                next(jpegs)
        # The slow viewer requests no frames any more: only the buffers of one connection hold data for it.
        wait_until(lambda: camera.sinks[0]._requested == {})  # No viewer waits for a frame.
        slow.settimeout(1)
        received = 0
        try:
            while received < 1_000_000:
                received += len(slow.recv(1_000_000))
                slow.settimeout(0.03)  # Less than a frame period: read only what has arrived.
        except TimeoutError:
            pass
        assert received < 600_000


def test_reset_connection_frees_the_viewer(camera: Camera) -> None:
    wait_until(lambda: request(camera.port, "/api/stats").json["viewers"] == 0)
    connection = socket.create_connection(("127.0.0.1", camera.port))
    connection.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert connection.recv(10)
    assert request(camera.port, "/api/stats").json["viewers"] == 1
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()  # With RST instead of FIN.
    wait_until(lambda: request(camera.port, "/api/stats").json["viewers"] == 0)


def test_health_follows_the_loop() -> None:
    source = LoopedFrames(clip_frames(), 30)
    source.paused.set()
    limits = WebLimits(max_silence_s=0.5, snapshot_timeout_s=0.2)
    with Camera(source=source, limits=limits) as camera:
        answer = request(camera.port, "/healthz")
        assert (answer.status, answer.body) == (503, b"no frame yet\n")
        assert request(camera.port, "/snapshot.jpg", "HEAD").status == 503
        source.paused.clear()
        wait_until(lambda: request(camera.port, "/healthz").status == 200)
        assert request(camera.port, "/healthz").body == b"ok\n"
        source.lost = True
        source.paused.set()
        wait_until(lambda: request(camera.port, "/healthz").status == 503)
        reason = request(camera.port, "/healthz").body.decode()
        assert reason.startswith("the source is lost and is being opened again; no frame for ")
        assert request(camera.port, "/api/stats").json["status"]["state"] == "reconnecting"
        source.lost = False
        source.paused.clear()
        wait_until(lambda: request(camera.port, "/healthz").status == 200)
        camera.stop_loop()
        wait_until(lambda: b"the loop has stood still for" in request(camera.port, "/healthz").body)
        assert parse(request(camera.port, "/metrics").body.decode())["edge_ssd_healthy"][1] == {"": 0}


def test_preview_ends_quickly_with_viewers(camera: Camera) -> None:
    threads = set(threading.enumerate())
    with ExitStack() as stack:
        with Camera() as other:
            stuck = stack.enter_context(socket.create_connection(("127.0.0.1", other.port)))
            stuck.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")  # It never reads.
            streams = [stack.enter_context(open_stream(other.port, path)) for path in ("/stream", "/events") * 3]
            for response in streams[::2]:
                next(mjpeg_images(response))
            other.stop_loop()
            start = time.monotonic()
        seconds = time.monotonic() - start
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", other.port))
    assert seconds < 5, "one second on an idle machine"
    # asyncio ends the executor that measures the state of the machine.
    wait_until(lambda: {t for t in threading.enumerate() if t not in threads and t.is_alive()} == set())
    assert json.dumps(other.log).count("web preview at") == len(other.log) == 1


def test_incomplete_requests_time_out() -> None:
    with Camera(limits=WebLimits(request_timeout_s=0.6, body_timeout_s=0.3)) as camera:
        complete = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for first, then in ((b"", b"GET"), (complete, b"GET / HT")):  # Also on a reused connection.
            with socket.create_connection(("127.0.0.1", camera.port), timeout=30) as slow:
                slow.sendall(first)
                answer = b""
                while first and not answer.endswith(b"\r\n\r\nok\n"):
                    answer += slow.recv(1)
                slow.sendall(then)
                with contextlib.suppress(ConnectionResetError):
                    assert slow.recv(1) == b""
        with open_stream(camera.port, "/stream") as response:
            head = b"POST /api/settings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            assert send_raw(camera.port, head + b"Content-Length: 9\r\n\r\n{").startswith(b"HTTP/1.1 408 ")
            start, jpegs = time.monotonic(), mjpeg_images(response)
            while time.monotonic() < start + 0.9:  # A stream is a complete request.
                next(jpegs)


def test_server_that_cannot_start_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device_apps.web.site.AuthMiddleware", None)
    with pytest.raises(EdgeSSDError, match=r"the web server does not start \(TypeError: .*\); leave out --web"):
        Camera().__enter__()


def test_failing_statistics_are_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with Camera(limits=WebLimits(stats_period_s=0.02)) as camera:
        wait_until(lambda: camera.stats.snapshot().frames > 0)
        with open_stream(camera.port, "/events") as response:
            messages = server_sent_events(response)
            next(messages)
            monkeypatch.setattr(camera.stats, "snapshot", lambda: 1 / 0)
            wait_until(lambda: len(camera.log) == 2)
            assert request(camera.port, "/api/stats").status == 500
            time.sleep(0.2)
            monkeypatch.undo()
            while next(messages)[0] != "stats":
                pass
        assert camera.log[1:] == [
            "web: statistics failed: ZeroDivisionError: division by zero",
            "web: '/api/stats' failed: ZeroDivisionError: division by zero",
        ]


def test_opencv_reads_the_mjpeg_stream(camera: Camera) -> None:
    """A preview can be the source of another program, such as ``edge-ssd camera``."""
    reader = open_opencv_stream(f"{camera.url}/stream")
    try:
        first, second = (reader.read().image for _ in range(2))
    finally:
        reader.close()
    assert first.shape == second.shape == (360, 480, 3)
    assert (first != second).any()
