from __future__ import annotations

import copy
import dataclasses
import io
import json
import pickle
import sys
import threading
import tracemalloc
import weakref
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_factory import FLATBUFFER, metadata, selftest, write_bundle
from PIL import Image
from real_model import real_model

from edge_ssd.boxes import box_iou
from edge_ssd.errors import BackendError, BundleError, ImageError, SettingError
from edge_ssd.network import InputSpec, Network, tiny_ssd
from edge_ssd.runtime import loaded_model as module
from edge_ssd.runtime.bundle import SelfTest, read_bundle
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.postprocess import Head
from edge_ssd.runtime.resize import Resize, numpy_resize, opencv_resize
from edge_ssd.runtime.shipped_models import default_model

NETWORK = tiny_ssd(["banana", "fork"], input_size=(32, 64), sizes=[(0.3, 0.4)] * 3)


class FakeInterpreter:
    """Interpreter with fixed heads: a banana of score 3/4 at anchor 5, a fork of 9/10 at the last anchor."""

    backend, num_threads, delegate, input_name = "fake", 1, None, "image"

    def __init__(self, network: Network = NETWORK) -> None:
        self.network = network
        self.input_shape = (1, *network.input.size, 3)
        logits = np.tile(np.array([9, 0, 0], np.float32), (network.num_anchors, 1))
        logits[5], logits[-1] = np.log([0.125, 0.75, 0.125]), np.log([0.05, 0.05, 0.9])
        self.heads, start = {}, 0
        for i, level in enumerate(network.levels):
            rows = logits[start : start + level.num_anchors]
            start += level.num_anchors
            shape = (1, level.height, level.width)
            self.heads[f"classes_{i}"] = Head(rows.reshape(*shape, -1))
            self.heads[f"boxes_{i}"] = Head(np.zeros((*shape, level.anchors_per_cell * 4), np.float32))
        self.output_shapes = {name: head.values.shape for name, head in self.heads.items()}
        self.images: list[np.ndarray] = []
        self.inside = 0

    def invoke(self, image: np.ndarray) -> dict[str, Head]:
        self.inside += 1
        assert self.inside == 1, "two threads at once"
        self.images.append(image)
        threading.Event().wait(0.001)
        self.inside -= 1
        return self.heads


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeInterpreter:
    interpreter = FakeInterpreter()
    monkeypatch.setattr(module, "open_interpreter", lambda *_: interpreter)
    return interpreter


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "model.tflite", NETWORK)


def run_in_threads(targets: Iterable[Callable[[], object]]) -> None:
    """Run every function in a thread of its own, all at once."""
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)


def test_detector_returns_boxes_in_image_pixels(fake: FakeInterpreter, bundle: Path) -> None:
    detector = Detector(bundle)
    detections = detector.detect(np.zeros((50, 200, 3), np.uint8))
    assert detections.names == ["fork", "banana"]
    assert detections.class_id.tolist() == [1, 0]
    np.testing.assert_allclose(detections.confidence, [0.9, 0.75], rtol=1e-6)
    anchors = NETWORK.anchors()[[-1, 5]] * [200, 50, 200, 50]
    np.testing.assert_allclose(detections.xyxy, np.clip(anchors, 0, [200, 50, 200, 50]), rtol=1e-5, atol=1e-4)
    assert detections.image_size == (50, 200)
    assert fake.images[0].shape == (32, 64, 3)
    assert [row.label for row in detections] == ["fork", "banana"]


@pytest.mark.usefixtures("fake")
def test_detector_applies_settings(bundle: Path) -> None:
    image = np.zeros((32, 64, 3), np.uint8)
    assert Detector(bundle, score_threshold=0.8).detect(image).names == ["fork"]
    assert Detector(bundle, max_detections=1).detect(image).names == ["fork"]
    assert Detector(bundle, classes=["banana"]).detect(image).names == ["banana"]
    assert Detector(bundle, classes="banana").detect(image).names == ["banana"]
    assert Detector(bundle, score_threshold=0.95).detect(image).xyxy.shape == (0, 4)
    assert len(Detector(bundle, score_threshold=0, iou_threshold=1, max_detections=1000).detect(image)) > 20


@pytest.mark.usefixtures("fake")
def test_score_threshold_per_class(bundle: Path) -> None:
    image = np.zeros((32, 64, 3), np.uint8)  # a banana of 0.75 and a fork of 0.9
    detector = Detector(bundle, score_threshold={"banana": 0.7, "fork": 0.95})
    assert detector.detect(image).names == ["banana"]
    assert (detector.min_score_threshold, detector.score_thresholds) == (0.7, {"banana": 0.7, "fork": 0.95})
    # A missing label has the bundle's 0.5.
    assert Detector(bundle, score_threshold={"banana": 0.8}).score_thresholds == {"banana": 0.8, "fork": 0.5}
    assert Detector(bundle, score_threshold={"banana": 0.8}).detect(image).names == ["fork"]
    assert Detector(bundle, score_threshold={}).detect(image).names == ["fork", "banana"]
    assert Detector(bundle, score_threshold={"fork": 0.95}, classes=["fork"]).detect(image).names == []


def test_class_agnostic_suppresses_across_classes(monkeypatch: pytest.MonkeyPatch, bundle: Path) -> None:
    interpreter = FakeInterpreter()
    interpreter.heads["boxes_0"].values[0, 0, 0] = 0
    first = interpreter.heads["classes_0"].values.reshape(-1, 3)
    first[4], first[5] = np.log([0.1, 0.1, 0.8]), np.log([0.125, 0.75, 0.125])
    monkeypatch.setattr(module, "open_interpreter", lambda *_: interpreter)
    image = np.zeros((32, 64, 3), np.uint8)
    assert Detector(bundle, iou_threshold=0.3).detect(image).names == ["fork", "fork", "banana"]
    assert Detector(bundle, iou_threshold=0.3, class_agnostic=True).detect(image).names == ["fork", "fork"]


@pytest.mark.usefixtures("fake")
def test_detector_attributes(bundle: Path) -> None:
    detector = Detector(read_bundle(bundle))
    assert detector.labels == ("banana", "fork")
    assert detector.network == NETWORK
    assert (detector.min_score_threshold, detector.iou_threshold, detector.max_detections) == (0.5, 0.5, 100)
    assert detector.timings == {}
    detector.detect(np.zeros((9, 9, 3), np.uint8))
    assert list(detector.timings) == ["preprocess", "invoke", "postprocess"]
    assert all(seconds > 0 for seconds in detector.timings.values())


# NumPy's numbers are valid, its booleans and arrays are not.
INVALID_SETTINGS = {
    "score_threshold": (-0.1, float("nan"), "0.5", True, [0.5, 0.5], np.True_, np.array(True), np.array([0.5])),
    "iou_threshold": (2, [0.5], np.float32("nan"), 10**400),
    "max_detections": (0, 2.5, True, np.True_, np.float32(2)),
}


@pytest.mark.machine_independent
@pytest.mark.parametrize(
    ("setting", "message"),
    [
        *(({name: value}, name) for name, values in INVALID_SETTINGS.items() for value in values),
        ({"score_threshold": 1.5}, "score_threshold must be a number from 0 to 1, got 1.5"),
        ({"score_threshold": {"spoon": 0.5}}, "no class 'spoon'; its labels are banana, fork"),
        ({"score_threshold": {"fork": 2}}, "score_threshold of 'fork' must be a number from 0 to 1, got 2"),
        ({"class_agnostic": 1}, "class_agnostic must be True or False"),
        ({"classes": ["spoon", "fork"]}, "no class 'spoon'; its labels are banana, fork"),
        ({"classes": []}, "at least one class"),
        ({"classes": [0]}, "no class 0"),
        ({"classes": [np.arange(2)]}, r"no class array\(\[0, 1\]\)"),
        ({"classes": 0}, "classes must be labels of the model, got 0; they are banana, fork"),
    ],
)
@pytest.mark.usefixtures("fake")
def test_detector_rejects_invalid_settings(bundle: Path, setting: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Detector(bundle, **setting)
    detector = Detector(bundle, 0.25, 0.75, 7, ["fork"], class_agnostic=True)
    before = settings_of(detector)
    with pytest.raises(SettingError, match=message):
        detector.configure(**{"score_threshold": 0.1, "max_detections": 1, "classes": None, **setting})
    assert settings_of(detector) == before, "an invalid setting must not change any"


def settings_of(detector: Detector) -> tuple[Any, ...]:
    names = ("score_thresholds", "iou_threshold", "max_detections", "classes", "class_agnostic")
    return tuple(getattr(detector, name) for name in names)


@pytest.mark.usefixtures("fake")
def test_settings_accept_numpy_numbers(bundle: Path) -> None:
    detector = Detector(
        bundle, np.float32(0.25), np.array(0.75), np.int16(7), np.array(["fork"]), class_agnostic=np.True_
    )
    assert settings_of(detector) == ({"banana": 0.25, "fork": 0.25}, 0.75, 7, ("fork",), True)
    assert [type(value) for value in (detector.iou_threshold, detector.max_detections)] == [float, int]


@pytest.mark.usefixtures("fake")
def test_configure_changes_settings(bundle: Path) -> None:
    image = np.zeros((32, 64, 3), np.uint8)  # a banana of 0.75 and a fork of 0.9
    detector = Detector(bundle)
    assert detector.classes == ("banana", "fork")
    assert detector.configure(score_threshold=0.8) is None
    assert detector.detect(image).names == ["fork"]
    detector.configure(score_threshold={"banana": 0.7})
    assert detector.score_thresholds == {"banana": 0.7, "fork": 0.8}, "missing labels keep their threshold"
    assert detector.detect(image).names == ["fork", "banana"]
    detector.configure(classes=["banana"])
    assert (detector.detect(image).names, detector.classes) == (["banana"], ("banana",))
    detector.configure(classes=None, max_detections=1)
    assert (detector.detect(image).names, detector.classes) == (["fork"], ("banana", "fork"))
    detector.configure(iou_threshold=0.25, class_agnostic=True)
    assert settings_of(detector) == ({"banana": 0.7, "fork": 0.8}, 0.25, 1, ("banana", "fork"), True)
    detector.configure(score_threshold=None, iou_threshold=None, max_detections=None)  # the bundle's
    assert settings_of(detector) == ({"banana": 0.5, "fork": 0.5}, 0.5, 100, ("banana", "fork"), True)
    detector.configure()
    assert settings_of(detector) == ({"banana": 0.5, "fork": 0.5}, 0.5, 100, ("banana", "fork"), True)
    with pytest.raises(AttributeError):
        detector.iou_threshold = 0.3  # an assignment would bypass the validation


def test_configure_does_not_change_running_detect(
    fake: FakeInterpreter, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector, image = Detector(bundle), np.zeros((32, 64, 3), np.uint8)
    invoked, configured = threading.Event(), threading.Event()

    def invoke(image: np.ndarray) -> dict[str, Head]:
        invoked.set()
        assert configured.wait(60)
        return fake.heads

    monkeypatch.setattr(fake, "invoke", invoke)
    results: list[list[str]] = []
    thread = threading.Thread(target=lambda: results.append(detector.detect(image).names))
    thread.start()
    assert invoked.wait(60)
    detector.configure(score_threshold=0.8, classes=["banana"])  # does not wait for the interpreter
    configured.set()
    thread.join(timeout=60)
    assert results == [["fork", "banana"]]
    assert detector.detect(image).names == []


@pytest.mark.usefixtures("fake")
def test_configure_from_several_threads_keeps_all_changes(bundle: Path) -> None:
    detector = Detector(bundle)
    changes: list[dict[str, Any]] = [{"score_threshold": {"banana": 0.1}}, {"score_threshold": {"fork": 0.2}}]
    changes += [{"iou_threshold": 0.3}, {"max_detections": 4}]
    run_in_threads(partial(detector.configure, **change) for change in changes * 20)
    assert settings_of(detector) == ({"banana": 0.1, "fork": 0.2}, 0.3, 4, ("banana", "fork"), False)


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.full((4, 4, 3), np.nan), None, "absent.jpg"])
@pytest.mark.usefixtures("fake")
def test_detector_rejects_invalid_images(bundle: Path, image: Any) -> None:
    detector = Detector(bundle)
    with pytest.raises(ImageError):
        detector.detect(image)
    assert len(detector.detect(np.zeros((4, 4, 3), np.uint8))) == 2  # still works


@pytest.mark.usefixtures("fake")
def test_detector_accepts_arrays_files_and_pillow_images(bundle: Path, tmp_path: Path) -> None:
    pil_image = Image.new("RGB", (30, 20))
    pil_image.save(tmp_path / "image.png")
    detector = Detector(bundle)
    expected = detector.detect(np.zeros((20, 30, 3), np.uint8)).to_dict()
    for image in (pil_image, tmp_path / "image.png", str(tmp_path / "image.png"), pil_image.convert("L")):
        assert detector.detect(image).to_dict() == expected


@pytest.mark.usefixtures("fake")
def test_boxes_of_reduced_image_are_in_pixels_of_the_full_one(bundle: Path, tmp_path: Path) -> None:
    image = Image.new("RGB", (640, 320), "red")
    image.save(tmp_path / "image.jpg")
    detector = Detector(bundle)
    expected = detector.detect(np.asarray(image)).to_dict()
    small = image.reduce(4)
    small.save(tmp_path / "small.jpg")
    encoded = tmp_path / "small.jpg"
    for reduced in (np.asarray(small), small, encoded, str(encoded), encoded.read_bytes()):
        assert detector.detect(reduced, image_size=(320, 640)).to_dict() == expected
    assert detector.detect(tmp_path / "image.jpg").to_dict() == expected
    assert detector.detect((tmp_path / "image.jpg").read_bytes()).to_dict() == expected


@pytest.mark.usefixtures("fake")
def test_boxes_of_encoded_images_of_every_type(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    Image.new("RGB", (640, 320), "red").save(path)
    data = path.read_bytes()
    detector = Detector(bundle)
    expected = detector.detect(path).to_dict()
    at_end = io.BytesIO(data)
    at_end.seek(0, io.SEEK_END)  # as after writing
    with path.open("rb") as file:
        for image in (data, bytearray(data), memoryview(data), io.BytesIO(data), at_end, file):
            assert detector.detect(image).to_dict() == expected


@pytest.mark.machine_independent
@pytest.mark.parametrize(
    ("image", "message"),
    [
        (io.StringIO("text"), "reads str, not bytes; open it in binary mode"),
        (io.BytesIO(b""), "image data: the file is empty"),
        (np.zeros(5000, np.uint8), r"got \[5000\]; if it is an encoded image, .*\.tobytes\(\)"),
        (np.zeros((5000, 1), np.uint8), r"pass its bytes: \.tobytes\(\)"),
        pytest.param("x" * 10**6, r"^x{120}\.\.\.x{120}: cannot be read", id="long path"),
        ("a\nb.jpg", r"^a\\x0ab\.jpg: no such image"),
        ("", "^'': the name is empty; give one image file$"),
        ("http://camera/a.jpg", "is an address, not a file; download it and pass its bytes"),
        (np.zeros((3, 5, 6), np.uint8), r"got \[3, 5, 6\]; move its channels to the end: \.transpose\(1, 2, 0\)"),
        ([[[0, 0, 0]]], r"list: \[\[\[0, 0, 0\]\]\]; convert it with numpy\.asarray"),
    ],
)
@pytest.mark.usefixtures("fake")
def test_refused_images_are_quoted_with_advice(bundle: Path, image: Any, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        Detector(bundle).detect(image)
    assert len(str(caught.value)) < 700
    closed = io.BytesIO(b"")
    closed.close()
    with pytest.raises(ImageError, match=r"cannot be read \(I/O operation on closed file"):
        Detector(bundle).detect(closed)


def test_color_bgr_exchanges_channels(fake: FakeInterpreter, bundle: Path) -> None:
    detector = Detector(bundle)
    rgb = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    for image in (rgb, rgb[:32, :64]):  # resized and not
        detector.detect(image)
        expected = fake.images[-1].copy()
        assert detector.detect(image[..., ::-1], color="bgr").image_size == image.shape[:2]
        assert (fake.images[-1] == expected).all()
        detector.detect(np.ascontiguousarray(image[..., ::-1]), color="bgr")
        assert (fake.images[-1] == expected).all()
    with pytest.raises(SettingError, match="color must be 'rgb' or 'bgr', got 'BGR'"):
        detector.detect(rgb, color="BGR")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="color='bgr' is for arrays; an image of type str is converted to RGB"):
        detector.detect("image.jpg", color="bgr")


@pytest.mark.usefixtures("fake")
def test_class_that_is_named_twice_is_detected_once(bundle: Path) -> None:
    detector = Detector(bundle)
    detector.configure(classes=[detector.labels[0]] * 2)
    assert detector.classes == detector.labels[:1]
    with pytest.raises(SettingError, match="classes must be labels of the model, got bytes of length 5"):
        detector.configure(classes=b"apple")  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(0, 4), (4,), 4, "ab", (4, 2.5), (-1, 3), (True, 3)])
@pytest.mark.usefixtures("fake")
def test_invalid_image_size_is_refused(bundle: Path, size: Any) -> None:
    with pytest.raises(SettingError, match="image_size"):
        Detector(bundle).detect(np.zeros((4, 4, 3), np.uint8), image_size=size)


@pytest.mark.usefixtures("fake")
def test_model_from_bytes_and_resources(bundle: Path, tmp_path: Path) -> None:
    data = bundle.read_bytes()
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("models/model.tflite", data)
    packed = zipfile.Path(tmp_path / "app.zip", "models/model.tflite")
    for model in (data, bytearray(data), memoryview(data), packed, read_bundle(data), bundle, str(bundle)):
        assert Detector(model).labels == ("banana", "fork")
    assert read_bundle(data).source == "model data"
    assert read_bundle(packed).source == str(packed)
    assert (read_bundle(bundle).source, read_bundle(bundle).path) == (str(bundle), bundle)
    with pytest.raises(BundleError, match="model data: was not read from a file, so it has no path"):
        _ = read_bundle(data).path


@pytest.mark.machine_independent
@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (bytes(10**4), BundleError, r"^model data: is not a \.tflite file"),
        (None, SettingError, r"^a model must be a path, .* got NoneType: None$"),
        (7, SettingError, "got int: 7"),
        (io.BytesIO(b"model"), SettingError, r"got BytesIO: .*; pass its content: \.read\(\)"),
        pytest.param("x" * 10**6, BundleError, r"^x{120}\.\.\.x{120}: ", id="long path"),
        ("a\nb.tflite", BundleError, r"^a\\x0ab\.tflite: no such file"),
        ("", BundleError, "^'': the name is empty; check the path, or name a shipped model: "),
        ("banan", BundleError, r"^banan: no such file \(did you mean banana\?\)"),
        ("https://host/m.tflite", BundleError, "is an address, not a file: download it"),
    ],
)
def test_refused_models_are_quoted_shortened(model: Any, error: type[Exception], message: str) -> None:
    for call in (Detector, read_bundle):
        with pytest.raises(error, match=message) as caught:
            call(model)
        assert len(str(caught.value)) < 400


def test_missing_entry_of_archive_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("a.txt", "a")
    with pytest.raises(BundleError, match=r"app\.zip/model\.tflite: cannot be read"):
        Detector(zipfile.Path(tmp_path / "app.zip", "model.tflite"))


@pytest.mark.usefixtures("fake")
def test_misspelled_attributes_are_refused(bundle: Path) -> None:
    detector = Detector(bundle)
    with pytest.raises(
        AttributeError, match=r"'score_treshold' \(did you mean score_threshold\?\); change .* configure"
    ):
        detector.score_treshold = 0.3  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match=r"settings are changed with configure\(iou_threshold=\.\.\.\)"):
        detector.iou_threshold = 0.3  # type: ignore[misc]
    with pytest.raises(AttributeError, match=r"changed with configure\(score_threshold"):
        detector.score_threshold = 0.3  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="num_threads of a Detector cannot be changed; make another"):
        detector.num_threads = 3  # type: ignore[misc]

    class Own(Detector):
        pass

    own = Own(bundle)
    own.camera = "door"  # type: ignore[attr-defined]
    assert weakref.ref(own)() is own


@pytest.mark.usefixtures("fake")
def test_repr_shows_model_backend_and_threads(bundle: Path) -> None:
    detector = Detector(bundle)
    assert repr(detector) == f"<Detector {str(bundle)!r}: 2 classes, input 32x64, fake, 1 thread>"
    detector.close()
    assert repr(detector).endswith(", closed>")


@pytest.mark.usefixtures("fake")
def test_frames_need_no_pillow(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    detector = Detector(bundle)
    assert len(detector.detect(np.zeros((32, 64, 3), np.uint8))) == 2
    assert len(detector.detect(np.zeros((99, 64, 3), np.uint8))) == 2


def test_detector_uses_custom_resize(fake: FakeInterpreter, bundle: Path) -> None:
    def white(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        return np.full((*size, 3), 255, np.uint8)

    detector = Detector(bundle, resize=white)
    assert detector.detect(np.zeros((50, 200, 3), np.uint8)).image_size == (50, 200)
    assert fake.images[0].min() == 255
    for resize in ("fast", lambda image: image, lambda image, size, *, quality: image):
        with pytest.raises(SettingError, match="resize must be a function of an image and"):
            Detector(bundle, resize=resize)  # type: ignore[arg-type]


@pytest.mark.usefixtures("fake")
def test_closed_detector_raises(bundle: Path) -> None:
    with Detector(bundle) as detector:
        detector.detect(np.zeros((4, 4, 3), np.uint8))
    uses = (detector.__enter__, detector.share, detector.configure, detector.selftest)
    for use in (lambda: detector.detect(np.zeros((4, 4, 3), np.uint8)), *uses):
        with pytest.raises(BackendError, match="closed; make a new one"):
            use()
    detector.close()


def test_shared_interpreter_has_settings_for_each_detector(fake: FakeInterpreter, bundle: Path) -> None:
    image = np.zeros((32, 64, 3), np.uint8)
    with Detector(bundle, score_threshold=0.8) as first, first.share(classes=["banana"], tiles="2x1") as second:
        assert [d.label for d in first.detect(image)] == ["fork"]
        assert (second.min_score_threshold, second.classes, first.tiles) == (0.5, ("banana",), None)
        assert {d.label for d in second.detect(image)} == {"banana"}
        assert len(fake.images) == 1 + 2 + 1, "the image, and two tiles beside the whole"
        second.configure(score_threshold=0.1)
        assert first.min_score_threshold == 0.8
        first.close()
        second.detect(image)
    with pytest.raises(BackendError, match="closed"):
        second.detect(image)


@pytest.mark.machine_independent
@pytest.mark.usefixtures("fake")
def test_detector_cannot_be_copied_or_pickled(bundle: Path) -> None:
    detector = Detector(bundle)
    for action in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="make another from the same bundle"):
            action(detector)
    detections = detector.detect(np.zeros((4, 4, 3), np.uint8))
    assert pickle.loads(pickle.dumps(detections)).to_dict() == detections.to_dict()
    assert pickle.loads(pickle.dumps(detector.bundle)).flatbuffer == FLATBUFFER


@pytest.mark.usefixtures("fake")
def test_concurrent_detect_calls_wait(bundle: Path) -> None:
    detector, results = Detector(bundle), []
    image = np.zeros((4, 4, 3), np.uint8)
    run_in_threads([lambda: results.append(len(detector.detect(image)))] * 12)
    assert results == [2] * 12


def test_detector_drops_boxes_outside_the_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    network = dataclasses.replace(NETWORK, input=InputSpec(32, 64, resize="letterbox"))
    fake = FakeInterpreter(network)
    monkeypatch.setattr(module, "open_interpreter", lambda *_: fake)
    # Anchor 5 lies around x = 3/16 of the input; an upright image fills only the middle, from 3/8 to 5/8.
    with Detector(write_bundle(tmp_path / "m.tflite", network)) as detector:
        assert "banana" in detector.detect(np.zeros((32, 64, 3), np.uint8)).names
        upright = detector.detect(np.zeros((400, 200, 3), np.uint8))
    assert "banana" not in upright.names
    assert (upright.xyxy[:, 2:] > upright.xyxy[:, :2]).all()


@pytest.mark.machine_independent
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_shape": (1, 64, 32, 3)}, r"input is 'image' \[1, 64, 32, 3\], expected 'image' \[1, 32, 64, 3\]"),
        ({"input_name": "pixels"}, "'pixels'"),
        ({"output_shapes": {}}, "output 'classes_0' is missing"),
    ],
)
def test_detector_rejects_model_that_differs_from_description(
    fake: FakeInterpreter, bundle: Path, change: dict[str, Any], message: str
) -> None:
    for name, value in change.items():
        setattr(fake, name, value)
    with pytest.raises(BundleError, match=message) as caught:
        Detector(bundle)
    assert str(caught.value).startswith(f"{bundle}: ")


def test_detector_raises_where_no_interpreter_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("ai_edge_litert", "tflite_runtime"):
        monkeypatch.setitem(sys.modules, package, None)
        monkeypatch.setitem(sys.modules, f"{package}.interpreter", None)
    with pytest.raises(BackendError, match="no TFLite interpreter") as caught:
        Detector(default_model())
    assert str(caught.value).startswith(f"{default_model()}: ")


def test_interpreters_get_no_forged_flatbuffer(bundle: Path) -> None:
    assert read_bundle(bundle).flatbuffer == FLATBUFFER
    with pytest.raises(BundleError, match="the model is damaged or forged") as caught:
        Detector(bundle)
    assert str(caught.value).startswith(f"{bundle}: ")


# Self-test: the fake's detections, with one change each


def expected(score_threshold: float = 0.5, **change: Any) -> SelfTest:
    anchors = NETWORK.anchors()[[-1, 5]] * np.array([64, 32, 64, 32], np.float32)
    detections = Detections(
        np.clip(anchors, 0, [64, 32, 64, 32]).astype(np.float32),
        np.array([0.9, 0.75], np.float32),
        np.array([1, 0], np.int64),
        ["fork", "banana"],
        (32, 64),
    )
    return SelfTest(np.zeros((32, 64, 3), np.uint8), dataclasses.replace(detections, **change), score_threshold)


@pytest.mark.parametrize(
    ("change", "passed"),
    [
        ({}, True),
        ({"confidence": np.array([0.86, 0.79], np.float32)}, True),
        ({"confidence": np.array([0.9, 0.69], np.float32)}, False),
        ({"class_id": np.array([1, 1])}, False),
        ({"xyxy": np.array([[0, 0, 9, 9], [0, 0, 9, 9]], np.float32)}, False),
        # An unexpected detection fails, unless its score is close to the threshold.
        (vars(expected().detections[:1]), False),
        ({**vars(expected().detections[:1]), "score_threshold": 0.72}, True),
    ],
)
@pytest.mark.usefixtures("fake")
def test_selftest_compares_boxes_scores_and_classes(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], passed: bool
) -> None:
    # The detector's own settings must not matter.
    detector = Detector(bundle, score_threshold=0.99, max_detections=1, classes=["banana"])
    monkeypatch.setattr(type(detector.bundle), "selftest", property(lambda bundle: expected(**change)))
    result = detector.selftest()
    assert result.passed is passed
    assert bool(result.problem) is not passed
    assert result.expected == len(expected(**change).detections)
    assert result.found == 2


@pytest.mark.usefixtures("fake")
def test_selftest_tolerates_missing_box_near_threshold(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for score, passed in ((0.54, True), (0.56, False)):
        box, confidence = np.array([[0, 0, 1, 1]], np.float32), np.array([score], np.float32)
        corner = Detections(box, confidence, np.array([0]), ["banana"], (32, 64))
        detections = Detections.merge([expected().detections, corner])
        with_one_more = expected(**vars(detections))
        monkeypatch.setattr(module.Bundle, "selftest", property(lambda bundle, value=with_one_more: value))
        assert Detector(bundle).selftest().passed is passed


# Replacing the model


def other_bundle(folder: Path, **defaults: float) -> Path:
    """Write a bundle with the labels apple and fork, whose self-test expects what :class:`FakeInterpreter` finds."""
    network = dataclasses.replace(NETWORK, labels=("apple", "fork"))
    details = metadata(network)
    details["defaults"].update(defaults)
    test = selftest(network, **{key: np.asarray(value) for key, value in vars(expected().detections).items()})
    replace = {"edge_ssd.json": json.dumps(details).encode(), "selftest.npz": test}
    return write_bundle(folder / "other.tflite", network, replace=replace)


@pytest.mark.usefixtures("fake")
def test_replaced_model_keeps_what_was_chosen(bundle: Path, tmp_path: Path) -> None:
    other = other_bundle(tmp_path, score_threshold=0.25, max_detections=7)
    detector = Detector(bundle, {"fork": 0.5}, iou_threshold=0.5)
    before = detector.share()
    detector.replace_model(other)
    assert settings_of(detector) == ({"apple": 0.25, "fork": 0.5}, 0.5, 7, ("apple", "fork"), False)
    assert detector.detect(np.zeros((32, 64, 3), np.uint8)).names == ["fork", "apple"]
    assert before.labels == ("banana", "fork"), "what shares the interpreter keeps the old model"
    before.configure(score_threshold=0.5, classes=["fork"])
    before.replace_model(detector)
    assert settings_of(before) == ({"apple": 0.5, "fork": 0.5}, 0.5, 7, ("fork",), False)
    before.configure(classes=None, score_threshold=None)
    assert settings_of(before)[0] == {"apple": 0.25, "fork": 0.25}
    assert before.bundle is detector.bundle, "in memory once"


@pytest.mark.parametrize(
    ("settings", "damage", "error", "message"),
    [
        ({"classes": ["banana"]}, None, SettingError, "no class 'banana'; its labels are apple, fork"),
        ({"score_threshold": {"banana": 0.3}}, None, SettingError, "no class 'banana'; its labels are apple, fork"),
        ({}, lambda data: data[:-9], BundleError, "other.tflite: is damaged or cut short"),
        ({}, lambda data: data[:90] + b"?" + data[91:], BundleError, "SHA-256 of its flatbuffer does not match"),
        ({}, bytes, BundleError, "1 of 1 expected boxes missing, 2 unexpected, with fake; convert it again"),
    ],
)
@pytest.mark.usefixtures("fake")
def test_model_that_cannot_replace_the_old_one_changes_nothing(
    bundle: Path,
    tmp_path: Path,
    settings: dict[str, Any],
    damage: Callable[[bytes], bytes] | None,
    error: type[Exception],
    message: str,
) -> None:
    other = other_bundle(tmp_path)
    if damage is bytes:  # a self-test of another network
        other = write_bundle(other, NETWORK)
    elif damage is not None:
        other.write_bytes(damage(other.read_bytes()))
    detector = Detector(bundle, **settings)
    before = settings_of(detector)
    with pytest.raises(error, match=message):
        detector.replace_model(other)
    assert (settings_of(detector), detector.bundle.source) == (before, str(bundle))
    assert set(detector.detect(np.zeros((32, 64, 3), np.uint8)).names) <= {"banana", "fork"}


@pytest.mark.usefixtures("fake")
def test_closed_detector_takes_and_gives_no_model(bundle: Path) -> None:
    open_one, closed = Detector(bundle), Detector(bundle)
    closed.close()
    for one, other in ((open_one, closed), (closed, open_one)):
        with pytest.raises(BackendError, match="closed"):
            one.replace_model(other)
    assert len(open_one.detect(np.zeros((4, 4, 3), np.uint8))) == 2


# With a real interpreter and model


@pytest.fixture(scope="module")
def real() -> Iterator[Detector]:
    with Detector(real_model()) as detector:
        yield detector


def test_real_model_passes_selftest(real: Detector) -> None:
    result = real.selftest()
    assert result.passed, result.problem
    assert result.expected > 0


def test_real_model_accepts_images_of_any_size(real: Detector, tmp_path: Path) -> None:
    selftest = real.bundle.selftest
    wide = np.asarray(Image.fromarray(selftest.image).resize((700, 500), Image.Resampling.BICUBIC))
    Image.fromarray(wide).save(tmp_path / "wide.png")
    detections = real.detect(tmp_path / "wide.png")
    assert (detections.xyxy >= 0).all()
    assert (detections.xyxy <= [700, 500, 700, 500]).all()
    json.dumps(detections.to_dict())
    # The content is the same, and so is the best box in pixels of the larger image.
    if real.network.input.resize == "stretch" and len(detections):
        height, width = selftest.image.shape[:2]
        scaled = detections.xyxy * np.array([width / 700, height / 500] * 2, np.float32)
        assert box_iou(selftest.detections.xyxy, scaled).max() > 0.6


def test_real_model_is_deterministic(real: Detector) -> None:
    image = real.bundle.selftest.image
    first = real.detect(image)
    real.detect(np.zeros_like(image))
    again = real.detect(image)
    assert first.xyxy.tolist() == again.xyxy.tolist()
    assert first.confidence.tolist() == again.confidence.tolist()


# tracemalloc under emulation takes two thirds of the time of all tests there.
@pytest.mark.machine_independent
@pytest.mark.parametrize("resize", [numpy_resize, opencv_resize, None], ids=["numpy", "opencv", "auto"])
@pytest.mark.parametrize("size", [(480, 640), (720, 1280)], ids=str)
def test_detect_allocates_no_large_array_after_the_first_frames(
    real: Detector, resize: Resize | None, size: tuple[int, int]
) -> None:
    if resize is opencv_resize:
        pytest.importorskip("cv2")
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    with Detector(real.bundle, resize=resize, num_threads=1) as detector:
        for _ in range(12):
            detector.detect(frame)
        tracemalloc.start()
        try:
            for _ in range(3):
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                detector.detect(frame)
                assert tracemalloc.get_traced_memory()[1] - before < 2**16  # all arrays of a frame together
        finally:
            tracemalloc.stop()


def test_real_model_from_several_threads(real: Detector) -> None:
    image, results = real.bundle.selftest.image, list[Any]()
    run_in_threads([lambda: results.append(real.detect(image).to_dict())] * 4)
    assert results == [real.detect(image).to_dict()] * 4


@pytest.mark.machine_independent
def test_default_model_is_found_or_named_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge_ssd.runtime import shipped_models

    monkeypatch.setattr(shipped_models, "__file__", str(tmp_path / "runtime" / "models.py"))
    with pytest.raises(BundleError, match=r"fruit-small\.tflite: the shipped model is missing"):
        default_model()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "fruit-small.tflite").write_bytes(b"x")
    assert default_model() == (tmp_path / "models" / "fruit-small.tflite").resolve()


def test_replaced_model_is_used_from_one_call_to_the_next() -> None:
    """Threads that detect meanwhile get the result of one model or of the other, and the old one is freed."""
    detector = Detector("small", num_threads=1)
    image = detector.bundle.selftest.image
    old = detector.detect(image).to_dict()
    with Detector("banana-nano", num_threads=1) as other:
        new = other.detect(image).to_dict()
    assert old != new
    results: list[list[Any]] = [[], []]
    ended = threading.Event()

    def detect(found: list[Any]) -> None:
        while not ended.is_set():
            found.append(detector.detect(image).to_dict())

    threads = [threading.Thread(target=detect, args=(found,)) for found in results]
    for thread in threads:
        thread.start()
    freed = weakref.ref(detector._state.model)
    detector.replace_model("banana-nano")
    assert detector.detect(image).to_dict() == new
    ended.set()
    for thread in threads:
        thread.join(timeout=60)
    for found in results:
        first = next((i for i, result in enumerate(found) if result == new), len(found))
        assert found == [old] * first + [new] * (len(found) - first)
    assert freed() is None
    assert detector.num_threads == 1
