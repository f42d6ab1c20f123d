"""Replacement of the model while the camera runs."""

from __future__ import annotations

import json
import os
import threading
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from clocks import wait_until
from event_factory import ListPublisher
from web_camera import LogLines, LoopedFrames, clip_frames

from device_apps import model_watch
from device_apps.events.emitter import EventEmitter
from device_apps.events.tracker import Tracker
from device_apps.loop import run_loop
from device_apps.model_watch import ModelUser, ModelWatch, followers_of, short_digest
from device_apps.motion_gate import MotionGate
from device_apps.results import FrameResult
from device_apps.zones.active_zones import ActiveZones
from device_apps.zones.monitor import ZoneMonitor
from edge_ssd.errors import SettingError
from edge_ssd.runtime.bundle import Bundle, read_bundle
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.shipped_models import find_model

PERIOD_S = 0.02


def copy_model(name: str, path: Path, labels: Sequence[str] | None = None) -> Path:
    """Replace ``path`` by a shipped model, with other ``labels`` if given."""
    data = find_model(name).read_bytes()
    new = path.with_name("new")
    if labels is None:
        new.write_bytes(data)
    else:
        with zipfile.ZipFile(find_model(name)) as archive:
            start = min(info.header_offset for info in archive.infolist())
            entries = {info.filename: archive.read(info) for info in archive.infolist()}
        details = json.loads(entries["edge_ssd.json"])
        details["labels"] = details["network"]["labels"] = list(labels)
        entries["edge_ssd.json"] = json.dumps(details).encode()
        entries["labels.txt"] = ("\n".join(labels) + "\n").encode()
        new.write_bytes(data[:start])
        with zipfile.ZipFile(new, "a") as archive:
            for entry, content in entries.items():
                archive.writestr(entry, content)
    new.replace(path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return copy_model("banana-small", tmp_path / "model.tflite")


@pytest.fixture
def detector(path: Path) -> Iterator[Detector]:
    with Detector(path, num_threads=1) as detector:
        yield detector


@pytest.fixture
def messages() -> Iterator[list[str]]:
    """What is logged, while it is."""
    with LogLines() as log:
        yield log.lines


def digest(model: Detector | str) -> str:
    return short_digest(read_bundle(find_model(model)) if isinstance(model, str) else model.bundle)


def watched(detector: Detector, *users: ModelUser) -> ModelWatch:
    return ModelWatch(detector, lambda: users, PERIOD_S)


class Results:
    """Sink that keeps what the loop has found."""

    finished = False

    def __init__(self) -> None:
        self.all: list[FrameResult] = []

    def write(self, result: FrameResult) -> None:
        self.all.append(result)

    def idle(self) -> None: ...


@pytest.fixture
def slow_reading(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Events: reading another model than the first has begun, and may end."""
    begun, may_end = threading.Event(), threading.Event()
    first: list[Bundle] = []

    def read(path: str) -> Bundle:
        bundle = read_bundle(path)
        if first and bundle.flatbuffer != first[0].flatbuffer:
            begun.set()
            assert may_end.wait(30)
        first.append(bundle)
        return bundle

    monkeypatch.setattr(model_watch, "read_bundle", read)
    return begun, may_end


def test_new_model_is_used_and_no_frame_is_missed_or_late(
    path: Path, detector: Detector, slow_reading: tuple[threading.Event, threading.Event], messages: list[str]
) -> None:
    begun, may_end = slow_reading
    source, results, publisher, stop = LoopedFrames(clip_frames(), 60), Results(), ListPublisher(), threading.Event()
    monitor = ZoneMonitor(ActiveZones(), detector.labels)
    emitter = EventEmitter([publisher], tracker=Tracker(enter_after=0), zones=monitor)
    gate = MotionGate(0.0)
    watch = watched(detector, ModelUser(detector, followers_of(monitor, gate, emitter, results)))
    sinks = [results, emitter, watch]

    def loop() -> None:
        with watch, emitter:
            run_loop(source, detector, sinks, stop=stop, gate=gate)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        wait_until(lambda: len(results.all) > 10)
        copy_model("banana-nano", path)
        assert begun.wait(30)
        before = len(results.all)
        wait_until(lambda: len(results.all) > before + 10)  # Frames do not wait for a model that is slow to load.
        may_end.set()
        wait_until(lambda: digest(detector) == digest("banana-nano"))
        after = len(results.all)
        wait_until(lambda: len(results.all) > after + 10)
    finally:
        stop.set()
        thread.join(30)
    assert [result.frame.sequence for result in results.all] == list(range(len(results.all)))
    assert source.counts.dropped == 0
    with Detector("banana-small", num_threads=1) as small, Detector("banana-nano", num_threads=1) as nano:
        found = [result.detections.to_dict() for result in results.all]
        images = [result.frame.image for result in results.all]
        assert found[before] == small.detect(images[before]).to_dict() != nano.detect(images[before]).to_dict()
        for i in range(after + 1, after + 10):
            assert found[i] == nano.detect(images[i]).to_dict() != small.detect(images[i]).to_dict()
    assert messages == [
        f"{path}: the new model is in use: banana-nano, SHA-256 {digest('banana-nano')}, classes banana"
    ]
    kinds = [kind for kind, *_ in publisher.summary()]
    assert kinds == sorted(kinds), "objects stay the same with the new model"


def half(path: Path) -> None:
    path.write_bytes(find_model("banana-nano").read_bytes()[:200_000])


def other_byte(path: Path) -> None:
    data = bytearray(find_model("banana-nano").read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def other_file(path: Path) -> None:
    path.write_bytes(b"%PDF-1.7 " * 1000)


def forged_flatbuffer(path: Path) -> None:
    from bundle_factory import write_bundle

    write_bundle(path, read_bundle(find_model("banana-nano")).network)


@pytest.mark.parametrize(
    ("write", "problem"),
    [
        (half, "is damaged or cut short"),
        (other_byte, "SHA-256 of its flatbuffer does not match"),
        (other_file, "is not a .tflite file"),
        (forged_flatbuffer, "the model is damaged or forged"),
    ],
)
def test_file_that_is_no_model_is_one_line_and_the_old_one_stays(
    path: Path, detector: Detector, messages: list[str], write: Callable[[Path], None], problem: str
) -> None:
    old = detector.bundle
    with watched(detector, ModelUser(detector)) as watch:
        write(path)
        wait_until(lambda: messages, 5)
        watch.idle()
        assert detector.bundle is old
        assert len(messages) == 1
        assert messages[0].startswith(f"{path}: ")
        assert messages[0].endswith("; the former model stays in use")
        assert problem in messages[0]
        path.write_bytes(find_model("banana-nano").read_bytes())  # In place.
        wait_until(lambda: watch.idle() or detector.bundle is not old)
        assert detector.labels == ("banana",)
        path.unlink()
        copy_model("banana-small", path)
        wait_until(lambda: watch.idle() or digest(detector) == digest("banana-small"))
        os.utime(path, (1, 1))  # The same content is no other model.
    assert len(messages) == 3


def test_growing_file_is_read_when_it_stays_the_same(path: Path, detector: Detector, messages: list[str]) -> None:
    data = find_model("banana-nano").read_bytes()
    watch = ModelWatch(detector, lambda: [ModelUser(detector)], period_s=0.2)
    with watch, path.open("wb") as file:
        for start in range(0, len(data), 50_000):
            file.write(data[start : start + 50_000])
            file.flush()
            threading.Event().wait(0.05)
        wait_until(lambda: watch.idle() or digest(detector) == digest("banana-nano"))
    assert len(messages) == 1


def zones_of(labels: Sequence[str], **more: object) -> ZoneMonitor:
    table = {"name": "door", "points": [[0, 0], [1, 0], [1, 1]], **more}
    active = ActiveZones(tables={"zones": [table]})
    active.check(labels)
    return ZoneMonitor(active, labels)


def test_model_without_a_class_that_is_named_is_refused_for_all_cameras(
    path: Path, detector: Detector, messages: list[str]
) -> None:
    """One model for two cameras, one of which has a zone for bananas, and then settings for them."""
    old = detector.bundle
    zones = [zones_of(old.labels), zones_of(old.labels, classes=["banana"])]
    cameras = [detector.share(), detector.share(score_threshold=0.25)]
    users = [ModelUser(camera, [monitor]) for camera, monitor in zip(cameras, zones, strict=True)]
    with ModelWatch(detector, lambda: users, PERIOD_S) as watch:
        copy_model("banana-nano", path, ["plantain"])
        wait_until(lambda: watch.idle() or messages)
        assert messages.pop() == (
            f"{path}: zone 'door': there is no class 'banana'; the model knows plantain; the former model stays in use"
        )
        users[1] = ModelUser(cameras[1])
        cameras[1].configure(classes=["banana"])
        copy_model("banana-small", path, ["plantain"])
        wait_until(lambda: watch.idle() or messages)
        assert "the model has no class 'banana'; its labels are plantain; the former" in messages[-1]
        assert all(one.bundle is old for one in (detector, *cameras))
        assert len(cameras[0].detect(old.selftest.image)) > 0
        cameras[1].configure(classes=None)
        copy_model("banana-nano", path, ["plantain"])
        wait_until(lambda: watch.idle() or cameras[1].labels == ("plantain",))
    new = detector.bundle
    assert all(one.bundle is new for one in cameras), "in memory once"
    assert cameras[1].score_thresholds == {"plantain": 0.25}
    assert list(zones[0].counts()["zones"]["door"]) == ["plantain"]
    assert zones[0].active.to_dict()["labels"] == ["plantain"]
    assert set(cameras[0].detect(new.selftest.image).names) == {"plantain"}


def test_model_with_another_input_is_refused(
    path: Path, detector: Detector, messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    old = detector.bundle
    spec = replace(old.network.input, resampling="pillow-bilinear")
    details = old.details._replace(network=replace(old.network, input=spec))
    monkeypatch.setattr(model_watch, "read_bundle", lambda _: replace(old, details=details, sha256="another"))
    with watched(detector) as watch:
        wait_until(lambda: watch.idle() or messages)
    assert messages == [
        f"{path}: its input is 256x256 (stretch, pillow-bilinear), and images are read for 256x256 (stretch, "
        "halve-bilinear); start the program again to use it; the former model stays in use"
    ]


def test_model_from_memory_cannot_be_watched() -> None:
    with (
        Detector(find_model("banana-nano").read_bytes(), num_threads=1) as detector,
        pytest.raises(SettingError, match="--watch-model: model data is not a file; name one with --model FILE"),
    ):
        watched(detector)
