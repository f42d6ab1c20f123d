"""device_apps.bench and edge-ssd bench: the shipped model, and detectors of known latency."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bundle_factory import npy, write_bundle
from doc_samples import agrees, shown
from PIL import Image
from real_model import real_model

from device_apps.bench.advice import time_advice
from device_apps.bench.benchmark import Benchmark, display_names, reliability_warnings, stored_precisions
from device_apps.bench.frames import read_frames
from device_apps.bench.latency import Timing, relative_drift, time_detectors
from device_apps.bench.report import format_benchmark, to_dict
from device_apps.bench.startup import Startup
from device_apps.bench_command import parse_size
from device_apps.machine import cores, describe_machine, governor, processor
from device_apps.sources.frames import Frame
from device_apps.stats import Quantiles
from edge_ssd import cli
from edge_ssd.errors import SettingError
from edge_ssd.network import InputSpec
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.shipped_models import find_model

FRAMES = [Frame(np.zeros((4, 4, 3), np.uint8), number, 0.0, "x") for number in range(3)]


class Sleeper:
    """Detector that takes a known time and logs its calls."""

    def __init__(self, name: str, seconds: float, log: list[str]) -> None:
        self.name, self.seconds, self.log = name, seconds, log
        self.timings: dict[str, float] = {}

    def detect(self, image: np.ndarray) -> None:
        self.log.append(self.name)
        time.sleep(self.seconds)
        self.timings = {"preprocess": 0.001, "invoke": self.seconds, "postprocess": 0.002}


def sleepers(*seconds: float) -> tuple[list[Any], list[str]]:
    log: list[str] = []
    return [Sleeper(str(i), each, log) for i, each in enumerate(seconds)], log


def test_timing_ratio_is_relative_to_the_first_detector() -> None:
    detectors, _ = sleepers(0.001, 0.05)
    first, second = time_detectors(detectors, FRAMES, frames=8, warm_up=0)
    assert first.ratio == 1.0
    assert second.ratio > 1.5
    assert first.stages["preprocess"] == (1.0, 1.0)
    assert second.stages["invoke"] == (50.0, 50.0)
    assert second.stages["detect"].p50 >= 50.0


def test_time_detectors_alternates_blocks_and_discards_their_first_call() -> None:
    detectors, log = sleepers(0.0, 0.0)
    timings = time_detectors(detectors, FRAMES, frames=12, warm_up=3)
    assert "".join(log) == "000111" + "0" * 11 + "1" * 11 + "0" * 3 + "1" * 3
    assert set(timings[0].stages) == {"preprocess", "invoke", "postprocess", "detect"}


def test_relative_drift_compares_the_halves() -> None:
    assert relative_drift([1.0] * 4 + [1.5] * 4) == 0.5
    assert relative_drift([1.0]) == 0.0


def timing_with_drift(drift: float) -> Any:
    return SimpleNamespace(model=Path("a/x.tflite"), drift=drift)


def test_reliability_warnings_report_drift_load_throttling_and_governor() -> None:
    timings = [timing_with_drift(0.01), timing_with_drift(-0.25)]
    lines = reliability_warnings(timings, load=50.0, throttling="under-voltage now", cpu_governor="ondemand")
    assert [line.split(":")[0] for line in lines] == [
        f"the machine was busy (load 50.0 on {cores()} cores)",
        "the speed changed by -25% during the run (x.tflite)",
        "the board was throttled",
        "the CPU governor is 'ondemand'",
    ]


@pytest.mark.parametrize(("load", "throttling", "cpu_governor"), [(0.0, "", "performance"), (None, None, None)])
def test_reliability_warnings_are_empty_on_an_idle_or_unknown_machine(
    load: float | None, throttling: str | None, cpu_governor: str | None
) -> None:
    timings = [timing_with_drift(0.01)]
    assert reliability_warnings(timings, load=load, throttling=throttling, cpu_governor=cpu_governor) == []


def fake_benchmark(path: Path) -> Benchmark:
    """Return a benchmark of one model with known times."""
    path.write_bytes(bytes(1_220_000))
    detector: Any = SimpleNamespace(
        tiles=None,
        bundle=SimpleNamespace(path=path),
        backend="ai-edge-litert",
        num_threads=2,
        network=SimpleNamespace(input=InputSpec()),
    )
    milliseconds = {"preprocess": 1.84, "invoke": 5.55, "postprocess": 0.21, "detect": 8.0}
    stages = {stage: Quantiles(value, value + 0.1) for stage, value in milliseconds.items()}
    timing = Timing(detector, stages, ratio=1.0, drift=0.02)
    return Benchmark("a board", (480, 640), 50, [timing], [Startup(path, 0.16, 70_000_000)], ["throttled"])


@pytest.mark.parametrize(
    ("stage", "spec", "opencv", "remedy"),
    [
        ("preprocess", InputSpec(), False, "install opencv-python-headless"),
        ("preprocess", InputSpec(), True, "capture frames that are nearer to the network's 256×256"),
        ("preprocess", InputSpec(resampling="pillow-bilinear"), True, "train the model again"),
        ("invoke", InputSpec(), False, "try more --threads or a smaller network"),
        ("postprocess", InputSpec(), False, "use a higher --score-threshold"),
        ("capture", InputSpec(), False, "use smaller images or a stream of lower resolution"),
    ],
)
def test_advice_names_the_largest_stage(stage: str, spec: InputSpec, opencv: bool, remedy: str) -> None:
    milliseconds = {"preprocess": 1.0, "invoke": 2.0, "postprocess": 0.5, "capture": 1.5} | {stage: 15.0}
    text = time_advice(milliseconds, spec, 1, opencv=opencv)
    shares, _, advice = text.partition(": ")
    assert re.findall(r"\d+%", shares) == sorted(re.findall(r"\d+%", shares), key=lambda share: -int(share[:-1]))
    assert advice.startswith(remedy)


def test_format_benchmark_shows_latencies_and_startups(tmp_path: Path) -> None:
    assert format_benchmark(fake_benchmark(tmp_path / "a.tflite")) == (
        "a board\n"
        "50 detections in a frame of 640×480, interleaved; ms, p50/p95\n"
        "\n"
        "model     interpreter     threads  preprocess     invoke  postprocess      total    fps  ratio\n"
        "a.tflite  ai-edge-litert        2   1.84/1.94  5.55/5.65    0.21/0.31  8.00/8.10  125.0   1.00\n"
        "\n"
        "model        file  time to first result  peak memory\n"
        "a.tflite  1.22 MB                0.16 s        70 MB\n"
        "\n"
        "a.tflite: the network 73%, resizing 24%, postprocessing 3%: "
        "try a smaller network (--model small or nano; edge-ssd train --network)"
    )


def test_benchmark_to_dict(tmp_path: Path) -> None:
    path = tmp_path / "a.tflite"
    report = to_dict(fake_benchmark(path))
    (timing,) = report.pop("timings")
    assert timing.pop("ms")["detect"] == {"p50": 8.0, "p95": 8.1}
    model = {"model": str(path)}
    assert timing == model | {
        "backend": "ai-edge-litert",
        "threads": 2,
        "tiles": None,
        "fps": 125.0,
        "ratio": 1.0,
        "drift": 0.02,
    }
    assert report == {
        "machine": "a board",
        "frame": {"width": 640, "height": 480},
        "detections": 50,
        "models": [model | {"bytes": 1_220_000, "start_seconds": 0.16, "peak_memory_bytes": 70_000_000}],
        "capture_ms": None,
        "opencv_resize": False,
        "advice": fake_benchmark(path).advice,
        "notes": ["throttled"],
    }


def test_bench_two_models_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(real_model().read_bytes())
    plot = tmp_path / "pareto.jpg"
    options = ["--threads", "1", "--frames", "12", "--warm-up", "1", "--size", "320x240", "--plot", str(plot)]
    assert cli.main(["bench", "banana-nano", str(other), *options, "--json"]) == 0
    assert plot.is_file()
    report = json.loads(capsys.readouterr().out)
    assert report["frame"] == {"width": 320, "height": 240}
    assert [timing["threads"] for timing in report["timings"]] == [1, 1]
    assert [Path(timing["model"]) for timing in report["timings"]] == [find_model("banana-nano"), other]
    for timing in report["timings"]:
        medians = {stage: spread["p50"] for stage, spread in timing["ms"].items()}
        assert 0 < max(medians["preprocess"], medians["invoke"], medians["postprocess"]) < medians["detect"]
    assert report["timings"][0]["ratio"] == 1.0
    assert report["models"][1]["bytes"] == other.stat().st_size
    for model in report["models"]:
        assert 0 < model["start_seconds"] < 60
        assert 20e6 < model["peak_memory_bytes"] < 500e6, "its own memory, not that of this test's process"


def with_precision(path: Path, ap: float | None, data: str = "bananas, val") -> Path:
    """Write the real model with another average precision, or none, and return its path."""
    bundle = read_bundle(real_model())
    accuracy = None if ap is None else {"float": {"ap": 0.9}, "quantized": {"ap": ap}, "data": data}
    entries = {
        "edge_ssd.json": json.dumps({**bundle.metadata, "accuracy": accuracy}).encode(),
        "anchors.npy": npy(bundle.anchors),
    }
    return write_bundle(path, bundle.network, bundle.flatbuffer, entries)


def test_bench_prints_tables_and_plots_models_with_measured_ap(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good = with_precision(tmp_path / "good.tflite", 0.8)
    unknown = with_precision(tmp_path / "unknown.tflite", None)
    source, plot = tmp_path / "image.png", tmp_path / "new" / "pareto.png"
    Image.new("RGB", (50, 40), "red").save(source)
    options = ["--frames", "3", "--threads", "2", "1", "--source", str(source), "--plot", str(plot)]
    assert cli.main(["bench", str(good), str(unknown), *options]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == describe_machine()
    assert lines[1] == "3 detections in a frame of 50×40, interleaved; ms, p50/p95"
    documented = shown("docs/service.md", "bench").splitlines()
    assert agrees(documented[1], lines[1], words_only=True)
    assert {lines[3].split()[0], *lines[3].split()} == set(documented[3].split())
    assert [line.split()[::2][:2] for line in lines[4:8]] == [[path.name, n] for path in (good, unknown) for n in "21"]
    assert lines[-1] == f"{plot}: average precision against time"
    about = [line for line in captured.err.splitlines() if "unknown.tflite" in line and "speed changed" not in line]
    assert len(about) == 1
    assert "unknown.tflite: not in the plot, it has no average precision" in about[0]
    with Image.open(plot) as image:
        assert image.format == "PNG"
        assert image.size == (900, 520)


def test_stored_precisions_warns_about_different_datasets(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    one = with_precision(tmp_path / "one.tflite", 0.8)
    other = with_precision(tmp_path / "other.tflite", 0.7, "cards, test")
    assert stored_precisions([read_bundle(one), read_bundle(other)]) == {one: 0.8, other: 0.7}
    assert "do not compare: one.tflite on bananas, val, other.tflite on cards, test" in caplog.text


def test_plot_without_matplotlib_names_the_extra(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert cli.main(["bench", "--plot", str(tmp_path / "pareto.png")]) == 2
    assert capsys.readouterr().err == (
        'edge-ssd: error: this command needs matplotlib, which is not installed; run: pip install "edge-ssd[plot]"\n'
    )


def test_bench_plot_without_any_ap_is_an_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    unknown = with_precision(tmp_path / "unknown.tflite", None)
    assert cli.main(["bench", str(unknown), "--plot", str(tmp_path / "pareto.png")]) == 2
    assert "--plot: unknown.tflite: no average precision was measured" in capsys.readouterr().err
    assert not (tmp_path / "pareto.png").exists()


def test_bench_plot_never_overwrites_the_source_image(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    image = tmp_path / "photo.png"
    image.write_bytes(b"a photo")
    assert cli.main(["bench", "--source", str(image), "--plot", str(image)]) == 2
    assert "--plot would overwrite the image of --source" in capsys.readouterr().err
    assert image.read_bytes() == b"a photo"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["none.tflite"], "none.tflite: no such file"),
        (["--frames", "0"], "--frames must be a whole number from 1, got 0"),
        (["--warm-up", "-1"], "--warm-up must be a whole number from 0, got -1"),
        (["--threads", "0"], "num_threads must be a whole number from 1"),
        (["--size", "big"], "--size must be WIDTHxHEIGHT, such as 640x480, got 'big'"),
        (["--plot", "pareto.txt"], "pareto.txt: unsupported image format; use .jpeg, .jpg, .png"),
        (["--source", "none.jpg"], "none.jpg: no such source"),
        (["--source", "picamera"], "--source picamera: give an image, a folder or a video"),
    ],
)
def test_bench_invalid_options_give_one_line(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bench", *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = (line for line in captured.err.splitlines() if not line.startswith("INFO"))
    assert message in line


def test_parse_size_returns_height_and_width() -> None:
    assert parse_size("640x480") == parse_size("640×480") == (480, 640)
    for bad in ("0x5", "640", "x", "1x1x1", "-5x5"):
        with pytest.raises(SettingError):
            parse_size(bad)


def test_display_names_use_paths_if_file_names_repeat() -> None:
    first, other, same_name = Path("a/x.tflite"), Path("b/y.tflite"), Path("b/x.tflite")
    assert display_names([first, other, first]) == {first: "x.tflite", other: "y.tflite"}
    assert display_names([first, same_name]) == {first: "a/x.tflite", same_name: "b/x.tflite"}


def test_processor_and_governor_names(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n")
    assert processor(tmp_path / "model", tmp_path / "cpuinfo") == "Raspberry Pi 5 Model B Rev 1.0"
    assert processor(tmp_path / "none", tmp_path / "cpuinfo") == "Some CPU @ 2 GHz"
    assert processor(tmp_path / "none", tmp_path / "none")
    (tmp_path / "governor").write_text("ondemand\n")
    assert governor(tmp_path / "governor") == "ondemand"
    assert governor(tmp_path / "none") is None


def test_bench_times_the_frames_of_a_folder_and_of_a_recording(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cv2 = pytest.importorskip("cv2")
    folder, video = tmp_path / "images", tmp_path / "clip.avi"
    folder.mkdir()
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 25, (320, 240))
    for number in range(4):
        image = np.full((240, 320, 3), 40 * number, np.uint8)
        Image.fromarray(image).resize((1280, 960)).save(folder / f"{number}.jpg")
        writer.write(image)
    writer.release()
    assert read_frames(str(folder), find_network("nano")).frames[0].pixels.shape == (240, 320, 3)
    options = ["--threads", "1", "--frames", "8", "--warm-up", "1"]
    for source, size in ((folder, "1280×960"), (video, "320×240")):
        assert cli.main(["bench", "banana-nano", "--source", str(source), *options, "--resize", "numpy"]) == 0
        out = capsys.readouterr().out
        assert f"8 detections in a frame of {size}" in out
        assert "reading and decoding a frame: " in out
        assert re.search(r"^banana-nano\.tflite: .*(decoding|resizing|the network) \d+%, .*: \w", out, re.MULTILINE)


def find_network(name: str) -> InputSpec:
    return read_bundle(find_model(name)).network.input


def test_bench_times_tiles_beside_the_whole_frame(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--threads", "1", "--frames", "10", "--warm-up", "1", "--size", "320x240", "--tiles", "3x2"]
    assert cli.main(["bench", "banana-nano", *options]) == 0
    whole, tiled = [line for line in capsys.readouterr().out.splitlines() if "banana-nano.tflite" in line][:2]
    assert "in tiles 3x2" in tiled
    assert float(whole.split()[-1]) == 1.0
