"""The doctor, on this machine and on broken ones: fake modules on PYTHONPATH precede the installed packages.

Hardware is faked: device nodes and ioctl, the folders of a board, vcgencmd.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from conftest import REPOSITORY, skip_or_fail
from doc_samples import shown
from real_model import real_model

from device_apps.doctor import cameras, software, system, v4l2
from device_apps.doctor.finding import ok
from device_apps.doctor.probe import probe
from device_apps.doctor.v4l2 import Camera, find_cameras
from device_apps.doctor_command import run_checks
from device_apps.numpy_conflict import numpy_remedy
from edge_ssd import cli

OLD_PYTHON = REPOSITORY / ".venv-tflite" / "bin" / "python"
NO_LIBGL = "libGL.so.1: cannot open shared object file: No such file or directory"
NUMPY_CONFLICT = "raise ValueError('numpy.dtype size changed, may indicate binary incompatibility')"
ILLEGAL_INSTRUCTION = "import os, signal; os.kill(os.getpid(), signal.SIGILL)"


def fake_opencv(gui: str, ffmpeg: str) -> str:
    """Return a module cv2 that was built with these parts."""
    build = f"  GUI:        {gui}\n    FFMPEG:      {ffmpeg}\n    v4l/v4l2:  YES (linux/videodev2.h)\n"
    return f'__version__ = "4.11"\ndef getBuildInformation():\n    return {build!r}'


def fake_picamera2(cameras: list[dict[str, object]]) -> str:
    """Return a module picamera2 that finds these cameras."""
    return f"class Picamera2:\n    global_camera_info = staticmethod(lambda: {cameras})"


def run_doctor(
    *options: object, path: Path | None = None, python: object = sys.executable
) -> tuple[int, dict[str, dict]]:
    """Run the doctor in a process of its own, with ``path`` first; return its status and its findings by name."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    command = [str(python), "-m", "device_apps.doctor_command", "--json", *map(str, options)]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, {finding["name"]: finding for finding in json.loads(done.stdout)}


@pytest.fixture
def fake_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Function that writes a module (name, body) which precedes the installed packages in child processes."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return lambda name, body: write_module(tmp_path, name, body)


def write_module(folder: Path, name: str, body: str) -> Path:
    (folder / f"{name}.py").write_text(body + "\n")
    return folder


def test_doctor_prints_a_line_per_check(capsys: pytest.CaptureFixture[str]) -> None:
    status = cli.main(["doctor", "--model", str(real_model())])
    lines = capsys.readouterr().out.splitlines()
    assert status == (1 if any(line.startswith("failure") for line in lines) else 0)
    levels = {line[9:].split("  ")[0]: line.split()[0] for line in lines}
    assert levels["python"] in ("ok", "warning")  # A test may run outside a virtual environment.
    assert (levels["interpreter"], levels["model"], levels["OpenCV"]) == ("ok", "ok", "ok")
    assert {"processor", "memory", "disk", "heat", "clock", "webcam", "CSI camera", "--web"} <= set(levels)
    documented = [line[9:].split("  ")[0] for line in shown("docs/service.md", "doctor").splitlines()]
    assert documented == [name for name in levels if name in documented]
    assert all((" → " in line) == (not line.startswith("ok")) for line in lines)


def test_doctor_prints_json() -> None:
    status, findings = run_doctor("--model", real_model())
    assert set(findings["interpreter"]) == {"level", "name", "text", "remedy"}
    assert status == int(any(finding["level"] == "failure" for finding in findings.values()))


def test_doctor_json_is_valid_in_other_encodings_than_utf8(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    _, findings = run_doctor("--model", real_model(), path=Path("/größe"))
    assert "/größe" in findings["PYTHONPATH"]["text"]


def test_tflite_runtime_with_numpy_2_is_a_failure(tmp_path: Path) -> None:
    """They can be imported together but do not work, in the real environment of the old interpreter."""
    if not OLD_PYTHON.exists():
        skip_or_fail(".venv-tflite is missing: make test-tflite")
    if int(numpy.__version__.split(".")[0]) < 2:
        pytest.skip("needs NumPy 2")
    same = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    if subprocess.run([str(OLD_PYTHON), "-c", same], check=False).returncode:
        pytest.skip("the two environments have different Pythons")
    packages = Path(numpy.__file__).parent.parent
    for name in ("numpy", "numpy.libs"):
        if (packages / name).exists():
            (tmp_path / name).symlink_to(packages / name)
    status, findings = run_doctor("--model", real_model(), path=tmp_path, python=OLD_PYTHON)
    assert status == 1
    finding = findings["interpreter"]
    assert finding["level"] == "failure"
    assert f"NumPy {numpy.__version__}" in finding["text"]
    assert "tflite-runtime" in finding["text"]
    assert finding["remedy"] == 'tflite-runtime needs NumPy 1: pip install "numpy<2"'
    _, findings = run_doctor("--model", real_model(), python=OLD_PYTHON)
    assert findings["interpreter"]["level"] != "failure", "without the other NumPy it works"
    assert findings["model"]["level"] == "ok"


@pytest.mark.parametrize(
    ("body", "level", "text", "remedy"),
    [
        ("raise ModuleNotFoundError(\"No module named 'cv2'\")", "warning", "not installed", "edge-ssd[camera]"),
        (f"raise ImportError({NO_LIBGL!r})", "failure", "libGL.so.1", "sudo apt install libgl1 libglib2.0-0"),
        ('raise ImportError("numpy.core.multiarray failed")', "failure", "multiarray", "--force-reinstall"),
        (ILLEGAL_INSTRUCTION, "failure", "the process was ended by SIGILL", "--force-reinstall"),
        (fake_opencv("NONE", "YES"), "ok", "4.11, headless: no --show", ""),
        (
            fake_opencv("QT5", "NO"),
            "warning",
            "4.11, with windows; built without FFMPEG",
            "pip install --force-reinstall opencv-python",
        ),
    ],
)
def test_check_opencv_reports_every_state(
    fake_module: Callable[[str, str], None], body: str, level: str, text: str, remedy: str
) -> None:
    fake_module("cv2", body)
    (finding,) = software.check_opencv()
    assert (finding.name, finding.level) == ("OpenCV", level), finding
    assert text in finding.text
    assert remedy in finding.remedy
    assert bool(finding.remedy) == (level != "ok")


def test_doctor_works_without_numpy(tmp_path: Path) -> None:
    status, findings = run_doctor(
        path=write_module(tmp_path, "numpy", "raise ModuleNotFoundError(\"No module named 'numpy'\")")
    )
    assert status == 1
    assert findings["interpreter"]["text"] == "NumPy is not installed"
    assert findings["interpreter"]["remedy"] == "pip install numpy"
    assert findings["python"]["level"] in ("ok", "warning")


def test_check_detector_reports_an_illegal_instruction(fake_module: Callable[[str, str], None]) -> None:
    fake_module("numpy", ILLEGAL_INSTRUCTION)
    (finding,) = software.check_detector()
    assert (finding.level, finding.text) == ("failure", "the process was ended by SIGILL")
    assert "sudo apt install python3-numpy" in finding.remedy


def test_check_detector_reports_a_missing_interpreter(fake_module: Callable[[str, str], None]) -> None:
    for name in ("ai_edge_litert", "tflite_runtime"):
        fake_module(name, f"raise ModuleNotFoundError('none', name={name!r})")
    (finding,) = software.check_detector()
    assert finding.level == "failure"
    assert "not installed" in finding.text
    assert finding.remedy == 'Install one with: pip install "edge-ssd[device]"'


def test_check_detector_reports_a_damaged_model(tmp_path: Path) -> None:
    data = bytearray(real_model().read_bytes())
    data[len(data) // 3] ^= 255
    (tmp_path / "bad.tflite").write_bytes(data)
    findings = list(software.check_detector(str(tmp_path / "bad.tflite")))
    assert [finding.level for finding in findings] == ["failure"]
    assert findings[0].name == "model"
    assert "bad.tflite" in findings[0].text
    (finding,) = software.check_detector(str(tmp_path / "none.tflite"))
    assert "no such file" in finding.text


def test_run_checks_reports_a_check_that_raises() -> None:
    def broken() -> list:
        raise RuntimeError("no such thing")

    reported: list[str] = []
    first, second = run_checks([("one", broken), ("two", lambda: [ok("two", "fine")])], reported.append)
    assert reported == ["one", "two", ""]
    assert (first.level, first.name) == ("warning", "one")
    assert "RuntimeError: no such thing" in first.text
    assert second == ok("two", "fine")


def test_probe_returns_the_result_or_the_error() -> None:
    assert probe("print('chatter'); print('[1, 2]')") == ([1, 2], "")
    assert probe("raise ValueError('bad')") == (None, "ValueError: bad")
    assert probe("import sys; sys.exit(3)") == (None, "exit status 3")
    assert probe("print('no JSON')")[0] is None
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    assert probe(crash) == (None, "the process was ended by SIGSEGV")


# ---- the machine ----


def meminfo(folder: Path, available_kb: int) -> Path:
    path = folder / "meminfo"
    lines = ["MemTotal:  1000000 kB", "MemFree:  5 kB", f"MemAvailable:  {available_kb} kB"]
    path.write_text("\n".join([*lines, "SwapTotal:  102400 kB", "SwapFree:  51200 kB", "HugePages_Total:  0"]) + "\n")
    return path


def test_check_memory_warns_below_the_limit(tmp_path: Path) -> None:
    (finding,) = system.check_memory(meminfo(tmp_path, 500_000))
    assert (finding.level, finding.text) == ("ok", "512 of 1024 MB free, swap 52 of 105 MB")
    (finding,) = system.check_memory(meminfo(tmp_path, 100_000))
    assert finding.level == "warning"


def test_check_disk_grades_the_free_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, level in ((5e9, "ok"), (5e8, "warning"), (5e7, "failure")):
        usage = type("Usage", (), {"free": int(free)})
        monkeypatch.setattr("shutil.disk_usage", lambda folder, usage=usage: usage)
        (finding,) = system.check_disk(tmp_path)
        assert finding.level == level
        assert str(tmp_path) in finding.text


@pytest.mark.parametrize(
    ("degrees", "throttling", "level", "text"),
    [
        (48.2, "", "ok", "48 °C, not throttled"),
        (81.0, "", "warning", "81 °C, not throttled"),
        (50.0, "under-voltage since the start", "warning", "50 °C, under-voltage since the start"),
        (None, None, "ok", "no thermometer, no vcgencmd (only on a Raspberry Pi)"),
    ],
)
def test_check_heat_reports_temperature_and_throttling(
    degrees: float | None, throttling: str | None, level: str, text: str
) -> None:
    (finding,) = system.check_heat(lambda: degrees, lambda: throttling)
    assert (finding.level, finding.text) == (level, text)
    if throttling:
        assert "power supply" in finding.remedy


def test_check_clock_reports_synchronization(monkeypatch: pytest.MonkeyPatch) -> None:
    for state, level in ((0, "ok"), (5, "warning"), (None, "ok")):
        (finding,) = system.check_clock(lambda state=state: state)
        assert finding.level == level
    monkeypatch.setattr("time.time", lambda: 86_400.0)
    (finding,) = system.check_clock()
    assert (finding.level, "is wrong" in finding.text) == ("failure", True)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="adjtimex is a system call of Linux")
def test_read_clock_state_returns_the_kernel_state() -> None:
    assert system.read_clock_state() in range(6)


@pytest.mark.parametrize(
    ("bits", "version", "machine", "level", "remedy"),
    [
        (2**63 - 1, (3, 13), "aarch64", "ok", ""),
        (2**31 - 1, (3, 11), "armv7l", "warning", "64-bit Raspberry Pi OS is faster"),
        (2**31 - 1, (3, 11), "aarch64", "warning", "setarch linux32"),
        (2**31 - 1, (3, 13), "armv7l", "failure", "install the 64-bit Raspberry Pi OS"),
    ],
)
def test_check_processor_reports_the_word_size(
    monkeypatch: pytest.MonkeyPatch, bits: int, version: tuple[int, int], machine: str, level: str, remedy: str
) -> None:
    monkeypatch.setattr(sys, "maxsize", bits)
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.setattr("platform.machine", lambda: machine)
    (finding,) = system.check_processor()
    assert finding.level == level
    assert remedy in finding.remedy


def test_check_permissions_reports_denied_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(system.check_permissions(tmp_path)) == []
    for name in ("video0", "video1", "gpiochip0"):
        (tmp_path / name).touch()
    camera_finding, pin_finding = system.check_permissions(tmp_path)
    assert (camera_finding.level, pin_finding.level) == ("ok", "ok")
    monkeypatch.setattr("os.access", lambda path, mode: path.name == "video0")
    camera_finding, pin_finding = system.check_permissions(tmp_path)
    assert camera_finding.text == f"no permission for {tmp_path / 'video1'}"
    assert camera_finding.remedy.startswith("sudo usermod -aG ")
    assert (camera_finding.level, pin_finding.level) == ("failure", "failure")


# ---- cameras ----


class FakeIoctl:
    """ioctl of a V4L2 device with these properties."""

    def __init__(self, driver: str, flags: int, formats: dict[str, list[tuple[int, int]]]) -> None:
        self.driver, self.flags, self.formats = driver, flags, formats

    def __call__(self, device: int, request: int, buffer: bytearray) -> None:
        if request == v4l2._QUERYCAP:
            assert len(buffer) == 104
            driver, name = self.driver.encode(), b"HD Webcam \xe2\x9c\x93"
            buffer[:] = struct.pack("16s32s32sIII12x", driver, name, b"usb", 0x60600, 0x84A00001, self.flags)
        elif request == v4l2._ENUM_FMT:
            assert len(buffer) == 64
            index, kind = struct.unpack_from("II", buffer)
            assert kind == (1 if self.flags & 1 else 9)
            if index >= len(self.formats):
                raise OSError(22, "Invalid argument")
            code = list(self.formats)[index].encode()
            buffer[:] = struct.pack("III32s4sI12x", index, kind, 0, b"Motion-JPEG", code, 0)
        else:
            assert request == v4l2._ENUM_FRAMESIZES
            assert len(buffer) == 44
            index, code = struct.unpack_from("I4s", buffer)
            sizes = self.formats[code.decode()]
            if index >= len(sizes):
                raise OSError(22, "Invalid argument")
            struct.pack_into("I4sIII", buffer, 0, index, code, 1, *sizes[index])


def test_find_cameras_lists_formats_and_sizes(tmp_path: Path) -> None:
    for name in ("video10", "video2", "video", "vbi0"):
        (tmp_path / name).touch()
    formats = {"MJPG": [(640, 480), (1920, 1080)], "YUYV": [(640, 480)]}
    first, second = find_cameras(tmp_path, FakeIoctl("uvcvideo", 0x04200001, formats))
    expected_formats = {"MJPG": ((640, 480), (1920, 1080)), "YUYV": ((640, 480),)}
    assert first == Camera(str(tmp_path / "video2"), "HD Webcam ✓", "uvcvideo", False, expected_formats)
    assert second.path.endswith("video10"), "sorted by number"


@pytest.mark.parametrize(
    ("driver", "flags"),
    [("uvcvideo", 0x04A00000), ("bcm2835-codec", 0x04204000), ("x", 0x04008001), ("bcm2835-isp", 0x1), ("x", 0x2)],
    ids=["metadata", "codec", "memory to memory", "image processor", "output"],
)
def test_find_cameras_ignores_other_devices(tmp_path: Path, driver: str, flags: int) -> None:
    (tmp_path / "video0").touch()
    assert find_cameras(tmp_path, FakeIoctl(driver, flags, {"MJPG": []})) == []


def test_find_cameras_recognizes_csi_sensors_by_driver(tmp_path: Path) -> None:
    (tmp_path / "video0").touch()
    csi_cameras = find_cameras(tmp_path, FakeIoctl("rp1-cfe", 0x1001 & ~1, {"pBAA": [(1536, 864)]}))
    assert [camera.csi for camera in csi_cameras] == [True]
    (finding,) = cameras.check_webcams(csi_cameras)
    assert finding.text.endswith("(rp1-cfe); pBAA up to 1536×864; use --source picamera")


def test_find_cameras_ignores_files_that_are_not_devices(tmp_path: Path) -> None:
    (tmp_path / "video0").symlink_to("/dev/null")
    (tmp_path / "video1").symlink_to(tmp_path / "missing")
    assert find_cameras(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "board", "level", "text"),
    [
        (None, "Desktop", "ok", "no picamera2"),
        (None, "Raspberry Pi 5 Model B Rev 1.0", "warning", "picamera2 is not installed"),
        ("import libcamera_that_is_missing", "Raspberry Pi 4", "warning", "picamera2 does not load"),
        (NUMPY_CONFLICT, "Raspberry Pi 4", "failure", "hides the older one of the system, with which picamera2"),
        (fake_picamera2([]), "Raspberry Pi 4", "warning", "no camera"),
        (fake_picamera2([{"Model": "imx708", "Num": 0}]), "Raspberry Pi 4", "ok", "imx708; use --source picamera"),
    ],
)
def test_check_csi_camera_reports_every_state(
    fake_module: Callable[[str, str], None], tmp_path: Path, body: str | None, board: str, level: str, text: str
) -> None:
    if body is not None:
        fake_module("picamera2", body)
    (finding,) = cameras.check_csi_camera(board, tmp_path / "none")
    assert (finding.level, text in finding.text) == (level, True), finding


def test_check_csi_camera_reports_a_hidden_system_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    (finding,) = cameras.check_csi_camera(system_package=tmp_path)
    assert "this virtual environment hides it" in finding.text
    assert "--system-site-packages" in finding.remedy


def test_paho_1_of_debian_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    version = software._version
    monkeypatch.setattr(software, "_version", lambda name: "1.6.1" if name == "paho-mqtt" else version(name))
    (finding,) = [finding for finding in software.check_extras() if finding.name == "--mqtt"]
    assert (finding.level, finding.remedy) == ("warning", 'pip install "paho-mqtt>=2.1"')


def test_opencv_of_the_system_with_another_numpy_is_named(fake_module: Callable[[str, str], None]) -> None:
    fake_module("cv2", "raise ImportError('numpy.core.multiarray failed to import')")
    (finding,) = software.check_opencv()
    assert finding.level == "failure"
    assert "hides the older one of the system, with which OpenCV was built" in finding.text
    assert finding.remedy.startswith('pip install "numpy<2"')


def test_numpy_remedy_holds_back_packages_that_need_numpy_2() -> None:
    installed = {"opencv-python": "5.0.0", "numpy": "2.4.6"}
    assert numpy_remedy(installed.get) == 'pip install "numpy<2" "opencv-python<4.12"'
    assert numpy_remedy({}.get) == 'pip install "numpy<2"'
