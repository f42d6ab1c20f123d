"""Profiles in the runtimes that they are made for: they must detect the same objects as the bundle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from chosen_boxes import ChosenBox, model_with_boxes
from conftest import REPOSITORY, skip_or_fail
from real_model import real_model
from small_model import convert_network, small_network

from converters.bundle.selftest import placeholder_selftest
from converters.bundle.stored_zip import stored_zip
from converters.bundle.writer import BundleContent, bundle_bytes
from converters.interop.check import check_profile
from converters.interop.export import PROFILES, profile_bytes, profile_model, profile_warnings
from converters.interop.graph import POSTPROCESS_SCORE, anchors_yxhw
from converters.interop.read import read_profile
from converters.quantization.head_coding import equalize_box_scales
from converters.quantization.schemes import CALIBRATED_SCHEMES
from converters.tflite.operators import read_graph
from edge_ssd import cli
from edge_ssd.boxes import box_iou, clip_boxes
from edge_ssd.errors import BundleError
from edge_ssd.network import Network, tiny_ssd
from edge_ssd.runtime.bundle import Defaults, SelfTest, read_bundle
from edge_ssd.runtime.detections import Detections
from edge_ssd.runtime.detector import Detector
from edge_ssd.runtime.interpreter import open_interpreter
from edge_ssd.runtime.postprocess import Postprocess
from edge_ssd.runtime.preprocess import read_image

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Statistics for quantized inputs were expected:UserWarning"),
    pytest.mark.filterwarnings("ignore:(?s).*tf.lite.Interpreter is deprecated:UserWarning"),
]

MEDIAPIPE, TASK_LIBRARY = REPOSITORY / ".venv-mediapipe", REPOSITORY / ".venv-tasklib"
DEFAULTS = Defaults(score_threshold=0.5, iou_threshold=0.5, max_detections=100)

# Both sides must have every detection of the other with at least this score and IoU.
MIN_SCORE, MIN_IOU = 0.6, 0.9
# Int8 results of runtimes differ by about one step, so a score may be on either side of MIN_SCORE.
SCORE_TOLERANCE = 0.05

# Three classes and four boxes. Two boxes of a class have an IoU of 0.43, and boxes of two classes nearly coincide:
# suppression across classes or with another IoU threshold would lose some.
CHOSEN = [
    ChosenBox(0, 0.9, (0.1, 0.1, 0.5, 0.5)),
    ChosenBox(0, 0.8, (0.26, 0.1, 0.66, 0.5)),
    ChosenBox(1, 0.85, (0.12, 0.1, 0.5, 0.5)),
    ChosenBox(2, 0.7, (0.6, 0.6, 0.9, 0.95)),
]


class Row(NamedTuple):
    """One detection; ``box`` is xyxy in pixels."""

    label: str | int
    score: float
    box: np.ndarray


def content_of(flatbuffer: bytes, network: Network, quantization: str = "none") -> BundleContent:
    return BundleContent(
        name="test",
        network=network,
        flatbuffer=flatbuffer,
        quantization=quantization,
        defaults=DEFAULTS,
        selftest=placeholder_selftest(network, 0.5),
        calibration=None,
        kept_layers={},
        tools={"edge-ssd": "1"},
        accuracy=None,
    )


def write_profile(path: Path, profile: str, flatbuffer: bytes, network: Network) -> Path:
    content = content_of(flatbuffer, network)
    path.write_bytes(profile_bytes(profile, profile_model(flatbuffer, network, DEFAULTS), content))
    return path


@pytest.fixture(scope="module")
def chosen() -> tuple[bytes, Network]:
    """Flatbuffer of a float network of 64×96 that detects CHOSEN in every image."""
    network = tiny_ssd(("ape", "bear", "cat"), input_size=(64, 96), width=0.25)
    return convert_network(model_with_boxes(network, CHOSEN), "none"), network


@pytest.fixture(scope="module")
def banana_images(shared_data: Path) -> list[np.ndarray]:
    """Real images of the banana model's input size, which need no resizing."""
    paths = sorted((shared_data / "bananas" / "bananas_val" / "images").iterdir())[::10]
    return [read_image(path) for path in [*paths, shared_data / "photos" / "d2l_banana.jpg"]]


@pytest.fixture(scope="module")
def bananas(tmp_path_factory) -> dict[str, Path]:
    """The shipped int8 bundle and its two profiles."""
    bundle, folder = read_bundle(real_model()), tmp_path_factory.mktemp("bananas")
    files = {
        profile: write_profile(folder / f"{profile}.tflite", profile, bundle.flatbuffer, bundle.network)
        for profile in PROFILES
    }
    return {"bundle": bundle.path, **files}


@pytest.fixture(scope="module")
def three_classes(tmp_path_factory, banana_images: list[np.ndarray]) -> dict[str, Path]:
    """The banana model with three classes instead of one, in int8.

    Upright anchors predict the third class. Square anchors predict the first or the second: a random direction of their
    features is added to one logit and subtracted from the other. So boxes of several classes overlap in real images.
    """
    from edge_ssd.training.model.tiny_ssd import TinySSD, load_tiny_ssd

    banana = load_tiny_ssd(REPOSITORY / "converters" / "models" / "banana.keras")
    model = TinySSD(replace(banana.network, labels=("one", "two", "upright")))
    for source, target in zip(
        [*banana.blocks, *banana.bbox_predictors], [*model.blocks, *model.bbox_predictors], strict=True
    ):
        target.set_weights(source.get_weights())
    rng, own_class = np.random.default_rng(0), (1, 1, 2, 3)  # of each anchor of a cell
    for source, target in zip(banana.cls_predictors, model.cls_predictors, strict=True):
        # Axes of anchors and classes; background is kept, and each class starts as a copy of banana.
        kernel, bias = (
            weight.reshape(*weight.shape[:-1], 4, 2)[..., (0, 1, 1, 1)].copy() for weight in source.get_weights()
        )
        for anchor, own in enumerate(own_class):
            bias[anchor, [i for i in (1, 2, 3) if i != own]] -= 3
        direction = 2 * rng.standard_normal(kernel.shape[:3]) * np.abs(kernel[..., 0, 1])
        kernel[..., 0, 1] += direction
        kernel[..., 0, 2] -= direction
        bias[0, 2] += 3
        target.set_weights([kernel.reshape(*kernel.shape[:3], -1), bias.reshape(-1)])
    flatbuffer = convert_network(model, "int8", np.stack(banana_images[:4]))
    folder = tmp_path_factory.mktemp("three_classes")
    bundle = folder / "bundle.tflite"
    bundle.write_bytes(bundle_bytes(content_of(flatbuffer, model.network, "int8")))
    files = {name: write_profile(folder / f"{name}.tflite", name, flatbuffer, model.network) for name in PROFILES}
    return {"bundle": bundle, **files}


def detect(bundle: Path, images: list[np.ndarray]) -> list[list[Row]]:
    with Detector(bundle, score_threshold=MIN_SCORE - SCORE_TOLERANCE) as detector:
        return [[Row(d.label, d.score, np.array(d.box)) for d in detector.detect(image)] for image in images]


def run_peer(environment: Path, script: str, model: Path, images: list[np.ndarray], *more: object) -> Any:
    """Return the output of a script of ``tests/peers``, run by the Python of ``environment``."""
    python = environment / "bin" / "python"
    if not python.is_file():
        skip_or_fail(f"no {environment.name}: `make {environment.name}/ready` makes it")
    # The peer has its own environment.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "images.npz"
        np.savez(arrays, **{f"{i:04}": image for i, image in enumerate(images)})
        words = [python, REPOSITORY / "tests" / "peers" / script, model, arrays, MIN_SCORE - SCORE_TOLERANCE, *more]
        process = subprocess.run(
            [str(word) for word in words], capture_output=True, text=True, check=False, env=environ, timeout=240
        )
    if "cannot open shared object file" in process.stderr:
        skip_or_fail(f"{environment.name}: {process.stderr.strip().splitlines()[-1]}")
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.strip().splitlines()[-1])


def read_rows(rows: list[list[dict]]) -> list[list[Row]]:
    return [[Row(row["label"], row["score"], np.array(row["box"])) for row in image_rows] for image_rows in rows]


def assert_same_detections(ours: list[list[Row]], theirs: list[list[Row]], size: tuple[int, int]) -> None:
    """Assert that each side has every detection of the other with at least MIN_SCORE, with the same label."""
    assert len(ours) == len(theirs)
    assert any(row.score >= MIN_SCORE for rows in ours for row in rows)
    for i, (expected, actual) in enumerate(zip(ours, theirs, strict=True)):
        for rows, others, problem in ((expected, actual, "missing"), (actual, expected, "unexpected")):
            for row in rows:
                if row.score >= MIN_SCORE:
                    assert any(is_same(row, other, size) for other in others), (i, problem, row, others)


def is_same(one: Row, other: Row, size: tuple[int, int]) -> bool:
    boxes = clip_boxes(np.array([one.box, other.box], np.float32), *size)
    close = abs(one.score - other.score) <= SCORE_TOLERANCE
    return one.label == other.label and close and bool(box_iou(boxes[:1], boxes[1:])[0, 0] >= MIN_IOU)


def chosen_rows(labels: tuple[str, ...] | range, size: tuple[int, int]) -> list[list[Row]]:
    height, width = size
    scale = np.array([width, height, width, height])
    return [[Row(labels[row.class_id], row.score, np.array(row.box) * scale) for row in CHOSEN]]


# In the other runtimes.


@pytest.fixture(params=["bananas", "three_classes"])
def files(request: pytest.FixtureRequest) -> dict[str, Path]:
    """The bundle and the profiles of a model with one class, then of one with three."""
    paths: dict[str, Path] = request.getfixturevalue(request.param)
    return paths


def test_mediapipe_detects_same_objects_as_bundle(files: dict[str, Path], banana_images: list[np.ndarray]) -> None:
    # MediaPipe rounds boxes down to whole pixels, so it gets enlarged images: each pixel becomes 4×4, which its
    # resizing reverses exactly.
    large = [image.repeat(4, axis=0).repeat(4, axis=1) for image in banana_images]
    ours = [[row._replace(box=row.box * 4) for row in rows] for rows in detect(files["bundle"], banana_images)]
    theirs = run_peer(MEDIAPIPE, "mediapipe_detect.py", files["mediapipe"], large)
    assert_same_detections(ours, read_rows(theirs), large[0].shape[:2])


def test_task_library_detects_same_objects_as_bundle(files: dict[str, Path], banana_images: list[np.ndarray]) -> None:
    theirs = run_peer(TASK_LIBRARY, "task_library_detect.py", files["postprocess"], banana_images)
    assert_same_detections(detect(files["bundle"], banana_images), read_rows(theirs), banana_images[0].shape[:2])


@pytest.mark.parametrize(
    ("environment", "model"),
    [(Path(sys.prefix), "bananas"), (TASK_LIBRARY, "bananas"), (TASK_LIBRARY, "three_classes")],
    ids=["litert", "tflite_runtime", "tflite_runtime-three_classes"],
)
def test_four_outputs_match_bundle_in_same_interpreter(
    environment: Path, model: str, request: pytest.FixtureRequest, banana_images: list[np.ndarray]
) -> None:
    """ai-edge-litert and tflite-runtime 2.14.

    The bundle runs on the same interpreter: int8 heads of two interpreters differ by some steps, which can exchange two
    nearly equal boxes.
    """
    files = request.getfixturevalue(model)
    labels = read_bundle(files["bundle"]).labels
    rows_of_bundle = read_rows(run_peer(environment, "ours.py", files["bundle"], banana_images))
    ours = [[row._replace(label=labels.index(str(row.label))) for row in rows] for rows in rows_of_bundle]
    results = run_peer(environment, "four_outputs.py", files["postprocess"], banana_images, 2)
    assert set(results) == {"by order", "by name"}
    for theirs in results.values():
        assert_same_detections(ours, read_rows(theirs), banana_images[0].shape[:2])


def test_three_class_model_detects_every_class(three_classes, banana_images: list[np.ndarray]) -> None:
    ours = detect(three_classes["bundle"], banana_images)
    assert {row.label for rows in ours for row in rows if row.score >= MIN_SCORE} == {"one", "two", "upright"}


@pytest.mark.parametrize(
    ("environment", "script", "profile"),
    [(MEDIAPIPE, "mediapipe_detect.py", "mediapipe"), (TASK_LIBRARY, "task_library_detect.py", "postprocess")],
    ids=["mediapipe", "task_library"],
)
def test_peer_keeps_overlapping_boxes_of_three_classes(
    environment: Path, script: str, profile: str, chosen, tmp_path: Path
) -> None:
    flatbuffer, network = chosen
    file = write_profile(tmp_path / "chosen.tflite", profile, flatbuffer, network)
    rows = run_peer(environment, script, file, [np.zeros((640, 960, 3), np.uint8)])
    assert len(rows[0]) == len(CHOSEN)
    assert_same_detections(chosen_rows(network.labels, (640, 960)), read_rows(rows), (640, 960))


def test_tflite_runtime_keeps_overlapping_boxes(chosen, tmp_path: Path) -> None:
    flatbuffer, network = chosen
    file = write_profile(tmp_path / "chosen.tflite", "postprocess", flatbuffer, network)
    for threads in (1, 2):
        results = run_peer(TASK_LIBRARY, "four_outputs.py", file, [np.zeros((64, 96, 3), np.uint8)], threads)
        for rows in results.values():
            assert len(rows[0]) == len(CHOSEN)
            assert_same_detections(chosen_rows(range(3), (64, 96)), read_rows(rows), (64, 96))


def test_peers_accept_image_without_detections(tmp_path: Path) -> None:
    network = tiny_ssd(("ape", "bear", "cat"), input_size=(64, 64), width=0.25)
    flatbuffer = convert_network(model_with_boxes(network, []), "none")
    file = write_profile(tmp_path / "nothing.tflite", "mediapipe", flatbuffer, network)
    image = [np.zeros((64, 64, 3), np.uint8)]
    assert run_peer(MEDIAPIPE, "mediapipe_detect.py", file, image) == [[]]
    assert run_peer(TASK_LIBRARY, "task_library_detect.py", file, image) == [[]]


# The model, in the installed interpreter.


def decoded(flatbuffer: bytes, network: Network, image: np.ndarray) -> Detections:
    heads = open_interpreter(flatbuffer).invoke(image)
    levels = range(len(network.levels))
    return Postprocess(network)(
        [heads[f"classes_{i}"] for i in levels], [heads[f"boxes_{i}"] for i in levels], max_detections=100
    )


def outputs_of(model: bytes, image: np.ndarray, threads: int | None = None) -> Detections:
    """Return the detections of a profile's model with a score of at least 0.5."""
    heads = open_interpreter(model, threads).invoke(image)
    boxes, classes, scores, count = (heads[f"output_{i}"].values[0] for i in (3, 2, 1, 0))
    is_shown = (scores >= 0.5) & (np.arange(len(scores)) < count)
    ids = classes[is_shown].astype(np.int64)
    return Detections(boxes[is_shown][:, [1, 0, 3, 2]], scores[is_shown], ids, [str(i) for i in ids], (1, 1))


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_profile_finds_every_class_with_any_number_of_threads(threads: int, chosen) -> None:
    flatbuffer, network = chosen
    detections = outputs_of(profile_model(flatbuffer, network, DEFAULTS), np.zeros((64, 96, 3), np.uint8), threads)
    expected = sorted(CHOSEN, key=lambda row: -row.score)
    assert detections.class_id.tolist() == [row.class_id for row in expected]
    np.testing.assert_allclose(detections.confidence, [row.score for row in expected], rtol=1e-5)
    np.testing.assert_allclose(detections.xyxy, [row.box for row in expected], atol=1e-5)


@pytest.mark.parametrize(("scheme", "classes"), [("int8", 1), ("int8", 5), ("int16x8", 3), ("float16", 2)])
def test_profile_model_matches_postprocess_of_bundle(scheme: str, classes: int) -> None:
    """Random weights, with class logits scaled so that every image has confident detections."""
    import keras

    from edge_ssd.training.model.tiny_ssd import TinySSD

    keras.utils.set_random_seed(classes)
    network = tiny_ssd([f"class {i}" for i in range(classes)], input_size=(64, 96), width=0.25)
    model = TinySSD(network)
    random = np.random.default_rng(classes)
    images = random.integers(0, 256, (4, 64, 96, 3)).astype(np.uint8)
    for layer, maps in zip(model.cls_predictors, model.head_maps(images)[0], strict=True):
        layer.kernel.assign(layer.kernel * (2 / np.std(maps)))
    flatbuffer = convert_network(model, scheme, images if scheme in CALIBRATED_SCHEMES else None)
    profile = profile_model(flatbuffer, network, DEFAULTS)
    for image in images:
        ours, theirs = decoded(flatbuffer, network, image), outputs_of(profile, image)
        assert len(ours.confidence) >= 5
        assert len(theirs.confidence) == len(ours.confidence)
        np.testing.assert_allclose(theirs.confidence, ours.confidence, rtol=1e-5)
        # The order of equal scores is the classes', then the anchors': compare as sets of rows.
        rows = [
            np.array(sorted(map(tuple, np.column_stack([side.class_id, side.xyxy]).round(4).tolist())))
            for side in (ours, theirs)
        ]
        np.testing.assert_allclose(rows[0], rows[1], atol=2e-4)


def test_profile_model_keeps_network_operators_and_is_deterministic(chosen) -> None:
    flatbuffer, network = chosen
    before = {operator.name: count for operator, count in read_graph(flatbuffer).operator_counts().items()}
    model = profile_model(flatbuffer, network, DEFAULTS)
    after = {operator.name: count for operator, count in read_graph(model).operator_counts().items()}
    assert {name: after[name] for name in before if name in ("CONV_2D", "MAX_POOL_2D", "CAST")} == {
        name: count for name, count in before.items() if name in ("CONV_2D", "MAX_POOL_2D", "CAST")
    }
    assert after["TFLite_Detection_PostProcess"] == 2  # three classes, two at once
    assert model == profile_model(flatbuffer, network, DEFAULTS)


def test_anchors_yxhw_is_center_form_with_y_first() -> None:
    network = tiny_ssd(("a",), input_size=(64, 128), width=0.25)
    # The first level's map is 8×16; its second cell, the first anchor, of size 0.2.
    np.testing.assert_allclose(anchors_yxhw(network)[4], [0.5 / 8, 1.5 / 16, 0.2, 0.1], atol=1e-6)
    assert anchors_yxhw(network).dtype == np.float32


# The file.


def test_profile_zip_is_stored_and_contains_labels(chosen, tmp_path: Path) -> None:
    flatbuffer, network = chosen
    file = write_profile(tmp_path / "chosen.tflite", "mediapipe", flatbuffer, network)
    with zipfile.ZipFile(file) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.read("labels.txt") == b"ape\nbear\ncat\n"
    assert file.read_bytes() == write_profile(tmp_path / "again.tflite", "mediapipe", flatbuffer, network).read_bytes()


@pytest.mark.parametrize("profile", PROFILES)
def test_inspect_shows_profile(profile: str, chosen, tmp_path: Path, capsys) -> None:
    file = write_profile(tmp_path / "chosen.tflite", profile, *chosen)
    assert cli.main(["inspect", str(file)]) == 0
    printed = capsys.readouterr().out
    parts = (f"profile     {profile}: for other runtimes", "labels      ape, bear, cat", "64×96 RGB", "IoU 0.5")
    for part in (*parts, "TFLite_Detection_PostProcess", "runs on     tflite-runtime 2.14: yes"):
        assert part in printed
    assert cli.main(["inspect", str(file), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["profile"] == profile
    assert facts["bytes"] == file.stat().st_size
    assert cli.main(["inspect", str(file), "--selftest"]) == 2
    assert "carries no self-test" in capsys.readouterr().err


def test_read_bundle_refuses_profile(chosen, tmp_path: Path) -> None:
    file = write_profile(tmp_path / "chosen.tflite", "postprocess", *chosen)
    with pytest.raises(BundleError, match="not an Edge SSD bundle"):
        read_bundle(file)


def test_read_profile_of_other_files_is_none(chosen, tmp_path: Path) -> None:
    (tmp_path / "bare.tflite").write_bytes(chosen[0])
    (tmp_path / "text.tflite").write_bytes(b"edge_ssd_profile.json")
    for name in ("bare.tflite", "text.tflite", "absent.tflite"):
        assert read_profile(tmp_path / name) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format_version": 2}, "does not know"),
        ({"profile": "other"}, "does not know"),
        ({"labels": None}, "cannot be read"),
        ({"iou_threshold": "high"}, "cannot be read"),
        ({"tools": []}, "cannot be read"),
        ({"sha256": {"flatbuffer": "0"}}, "SHA-256 of its flatbuffer"),
    ],
)
def test_read_profile_refuses_invalid_description(change: dict, reason: str, chosen, tmp_path: Path, capsys) -> None:
    file = write_profile(tmp_path / "chosen.tflite", "postprocess", *chosen)
    with zipfile.ZipFile(file) as archive:
        start = min(info.header_offset for info in archive.infolist())
        description = json.loads(archive.read("edge_ssd_profile.json"))
    changed = json.dumps({**description, **change}).encode()
    file.write_bytes(file.read_bytes()[:start] + stored_zip({"edge_ssd_profile.json": changed}, start=start))
    assert refusal(file, capsys).endswith(("edge-ssd\n", "again\n"))
    with pytest.raises(BundleError, match=reason):
        read_profile(file)


def test_inspect_refuses_damaged_profile(chosen, tmp_path: Path, capsys) -> None:
    file = write_profile(tmp_path / "chosen.tflite", "postprocess", *chosen)
    data = file.read_bytes()
    changed = bytearray(data)
    changed[len(chosen[0]) // 2] ^= 1
    file.write_bytes(changed)
    assert "SHA-256" in refusal(file, capsys)
    file.write_bytes(data[:-30])
    assert "copy or convert it again" in refusal(file, capsys)


def refusal(file: Path, capsys) -> str:
    assert cli.main(["inspect", str(file)]) == 2
    error: str = capsys.readouterr().err
    assert error.startswith(f"edge-ssd: error: {file}: ")
    assert error.count("\n") == 1
    return error


def test_check_profile_refuses_different_detections(chosen, tmp_path: Path) -> None:
    flatbuffer, network = chosen
    content, model = content_of(flatbuffer, network), profile_model(flatbuffer, network, DEFAULTS)
    scale = np.array([96, 64, 96, 64])
    boxes = np.array([row.box * scale for row in CHOSEN], np.float32)
    scores, ids = np.array([row.score for row in CHOSEN], np.float32), np.array([row.class_id for row in CHOSEN])
    black = np.zeros((64, 96, 3), np.uint8)

    def check(keep: slice, class_ids: np.ndarray) -> None:
        names = [network.labels[i] for i in class_ids[keep]]
        detections = Detections(boxes[keep], scores[keep], class_ids[keep], names, (64, 96))
        selftest = SelfTest(black, detections, 0.5)
        check_profile(model, BundleContent(**{**vars(content), "selftest": selftest}), tmp_path / "out.tflite")

    check(slice(None), ids)
    with pytest.raises(BundleError, match=r"out.tflite: not written.*0 boxes lost, 1 too many"):
        check(slice(3), ids)
    with pytest.raises(BundleError, match="4 boxes lost, 4 too many"):
        check(slice(None), (ids + 1) % 3)


@pytest.fixture(scope="module")
def one_box_model(tmp_path_factory) -> tuple[Path, bytes]:
    """A Keras model that detects one box in every image, and its float flatbuffer."""
    from edge_ssd.training.model.tiny_ssd import save_tiny_ssd

    path = tmp_path_factory.mktemp("one_box") / "squares.keras"
    model = model_with_boxes(small_network(), [ChosenBox(0, 0.9, (0.2, 0.1, 0.6, 0.8))])
    save_tiny_ssd(model, path)
    return path, convert_network(equalize_box_scales(model), "none")


@pytest.mark.parametrize("profile", PROFILES)
def test_convert_writes_requested_profile(
    profile: str, one_box_model: tuple[Path, bytes], squares: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    (model, flatbuffer), out = one_box_model, tmp_path / "out.tflite"
    monkeypatch.setattr("converters.convert.apply_in_subprocess", lambda *_: flatbuffer)
    options = ["--quantize", "none", "--no-accuracy", "--profile", profile]
    assert cli.main(["convert", str(model), "--data", str(squares), "--out", str(out), *options]) == 0
    printed = capsys.readouterr().out
    expected = f"profile     {profile}: detects the same as the bundle in the self-test image: 1 object with a score of"
    assert expected in printed
    assert "1 TFLite_Detection_PostProcess" in printed
    assert "PROBLEM" not in printed
    description = read_profile(out)
    assert description is not None
    assert description["profile"] == profile
    with zipfile.ZipFile(out) as archive:
        start = min(info.header_offset for info in archive.infolist())
    detections = outputs_of(out.read_bytes()[:start], np.zeros((64, 64, 3), np.uint8))
    np.testing.assert_allclose(detections.xyxy, [(0.2, 0.1, 0.6, 0.8)], atol=1e-5)


def test_profile_warnings_of_letterboxed_network_for_mediapipe() -> None:
    stretched = tiny_ssd(("a",), input_size=(64, 64), width=0.25)
    letterboxed = tiny_ssd(("a",), input_size=(64, 64), width=0.25, resize="letterbox")
    assert profile_warnings("mediapipe", stretched) == profile_warnings("postprocess", letterboxed) == []
    (line,) = profile_warnings("mediapipe", letterboxed)
    assert "stretches" in line


def test_postprocess_score_is_low_but_positive() -> None:
    assert 0 < POSTPROCESS_SCORE < 0.2
