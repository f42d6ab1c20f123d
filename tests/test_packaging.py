"""Content of the wheel and the sdist, and the interpreter that each platform installs."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
from conftest import REPOSITORY, skip_or_fail

import edge_ssd
from edge_ssd.cli import command_parser

PACKAGES = ("edge_ssd/", "converters/", "device_apps/")
# Boards download the wheel and store it on an SD card.
MAX_WHEEL_BYTES = 6_000_000
# More than that: the pre-trained weights, which only training reads.
MAX_WEIGHTS_BYTES = 15_000_000


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the sdist and the wheel, built offline from a copy so that the checkout stays clean."""
    for name in ("setuptools", "packaging"):
        if importlib.util.find_spec(name) is None:
            skip_or_fail(f"{name} is not installed")
    source = tmp_path_factory.mktemp("source")
    for name in checkout_files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, source / name)
    out = tmp_path_factory.mktemp("dist")
    script = (
        f"from setuptools import build_meta; build_meta.build_sdist({str(out)!r}); build_meta.build_wheel({str(out)!r})"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=source)
    assert process.returncode == 0, process.stderr
    return out


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    (path,) = distributions.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> dict[str, list[str]]:
    """The wheel's METADATA: every field with its values."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        message = message_from_bytes(archive.read(name))
    return {key: message.get_all(key, []) for key in message}


def checkout_files() -> list[str]:
    """Return the paths of all files that git keeps or would add."""
    if shutil.which("git") is None or not (REPOSITORY / ".git").exists():
        skip_or_fail("not a checkout of git")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY)
    return [name for name in done.stdout.splitlines() if (REPOSITORY / name).is_file()]


def test_wheel_contains_modules_and_models_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    # Only a checkout draws the synthetic dataset and builds the container.
    omitted = ("edge_ssd/data/synthetic/", "device_apps/container/", "device_apps/clips/", "converters/models/")
    expected = {name for name in checkout_files() if name.startswith(PACKAGES) and not name.startswith(omitted)}
    assert names == expected
    assert "edge_ssd/models/banana.tflite" in names


def test_wheel_is_small_and_pure(wheel: Path) -> None:
    assert wheel.name == f"edge_ssd-{edge_ssd.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        weights = sum(entry.compress_size for entry in archive.infolist() if entry.filename.endswith(".npz"))
    assert 0 < weights < MAX_WEIGHTS_BYTES
    assert wheel.stat().st_size - weights < MAX_WHEEL_BYTES
    page = (REPOSITORY / "docs" / "runtime.md").read_text(encoding="utf-8")
    (stated,) = re.findall(r"The wheel has about (\d+) MB", page)
    assert wheel.stat().st_size / 1e6 == pytest.approx(int(stated), rel=0.4)


def test_sdist_contains_every_file_of_checkout(distributions: Path) -> None:
    """Tests, demo and container can be made from it; nothing else is in it."""
    (path,) = distributions.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}
    generated = {name for name in names if name.startswith("edge_ssd.egg-info/")} | {"PKG-INFO", "setup.cfg"}
    assert names - generated == set(checkout_files())


def test_metadata_is_accepted_by_an_index(distributions: Path, wheel: Path) -> None:
    """`make packages` runs twine too."""
    from packaging.metadata import Metadata

    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        texts = [archive.read(name)]
    (sdist,) = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        file = archive.extractfile(f"{sdist.name.removesuffix('.tar.gz')}/PKG-INFO")
        assert file is not None
        texts.append(file.read())
    for text in texts:
        metadata = Metadata.from_email(text, validate=True)
        assert metadata.description_content_type == "text/markdown"
        assert metadata.description is not None
        assert metadata.description.startswith("# Edge SSD\n")
        assert str(metadata.requires_python) == ">=3.10"


def test_wheel_contains_license_and_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = {name.partition(".dist-info/")[2]: name for name in archive.namelist() if ".dist-info/" in name}
        assert archive.read(files["licenses/LICENSE"]) == (REPOSITORY / "LICENSE").read_bytes()
        entry_points = archive.read(files["entry_points.txt"]).decode()
        assert entry_points.split("\n\n") == [
            "[console_scripts]\nedge-ssd = edge_ssd.cli:main",
            "[pyinstaller40]\nhook-dirs = edge_ssd.frozen:hook_dirs\n",
        ]


def test_base_requires_only_numpy_and_pillow(metadata: dict[str, list[str]]) -> None:
    base = [line for line in metadata["Requires-Dist"] if "extra ==" not in line]
    assert base == ["numpy>=1.24.2", "pillow>=9.4"]


# What `pip install "edge-ssd[device]"` adds: (sys_platform, platform_machine, Python) → distributions.
DEVICE = [
    ("linux", "x86_64", "3.10", {"ai-edge-litert"}),
    ("linux", "x86_64", "3.11", {"ai-edge-litert"}),
    ("linux", "x86_64", "3.13", {"ai-edge-litert"}),
    ("linux", "x86_64", "3.14", {"ai-edge-litert"}),
    ("linux", "x86_64", "3.15", set()),
    ("linux", "aarch64", "3.11", {"ai-edge-litert"}),
    ("linux", "aarch64", "3.13", {"ai-edge-litert"}),
    ("linux", "armv7l", "3.11", {"tflite-runtime", "numpy"}),
    ("linux", "armv8l", "3.11", {"tflite-runtime", "numpy"}),
    ("linux", "armv7l", "3.13", set()),
    ("linux", "armv6l", "3.11", set()),
    ("linux", "riscv64", "3.13", set()),
    ("darwin", "arm64", "3.13", {"ai-edge-litert"}),
    ("darwin", "x86_64", "3.11", set()),
    ("win32", "AMD64", "3.13", {"ai-edge-litert"}),
    ("win32", "ARM64", "3.13", set()),
]


@pytest.mark.parametrize(("system", "machine", "python", "expected"), DEVICE)
@pytest.mark.parametrize("extra", ["device", "train"])
def test_extra_selects_available_interpreter_per_platform(
    extra: str, system: str, machine: str, python: str, expected: set[str], metadata: dict[str, list[str]]
) -> None:
    from packaging.requirements import Requirement

    def applicable(extra: str) -> list[Requirement]:
        platform = {"sys_platform": system, "platform_machine": machine, "python_version": python, "extra": extra}
        requirements = map(Requirement, metadata["Requires-Dist"])
        return [r for r in requirements if r.marker is not None and r.marker.evaluate(platform)]

    installed = applicable(extra)
    for requirement in list(installed):  # "edge-ssd[device]" includes the requirements of that extra
        installed += [other for inner in requirement.extras for other in applicable(inner)]
    interpreters = {r.name for r in installed} & {"ai-edge-litert", "tflite-runtime"}
    assert interpreters == expected - {"numpy"}
    numpy_below_2 = [r for r in installed if r.name == "numpy" and not r.specifier.contains("2.0")]
    assert bool(numpy_below_2) == ("numpy" in expected)
    assert all(r.specifier.contains("1.24.2") for r in numpy_below_2)


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("camera", {"opencv-python"}),
        ("plot", {"matplotlib"}),
        ("train", {"edge-ssd", "faster-coco-eval", "keras", "pyyaml", "tensorflow"}),
    ],
)
def test_extra_requires_expected_packages(extra: str, expected: set[str], metadata: dict[str, list[str]]) -> None:
    from packaging.requirements import Requirement

    requirements = [r for r in map(Requirement, metadata["Requires-Dist"]) if r.marker is not None]
    assert {r.name for r in requirements if r.marker and r.marker.evaluate({"extra": extra})} == expected


def test_constraints_satisfy_requirements(metadata: dict[str, list[str]]) -> None:
    from packaging.requirements import Requirement

    lines = (REPOSITORY / ".ci" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if not line.startswith("#"))
    for requirement in map(Requirement, metadata["Requires-Dist"]):
        if requirement.name in pins and "numpy<2" not in str(requirement):
            assert requirement.specifier.contains(pins[requirement.name]), requirement
    assert {"numpy", "pillow", "tensorflow", "keras", "ai-edge-litert", "opencv-python", "pytest"} <= set(pins)


def test_demo_uses_valid_commands_and_options() -> None:
    """``make demo`` takes too long for a test, so only its command lines are parsed."""
    if shutil.which("make") is None:
        skip_or_fail("make is not installed")
    dry = subprocess.run(
        ["make", "--dry-run", "--always-make", "demo"], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    lines = dry.stdout.replace("\\\n", " ").splitlines()
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("edge-ssd ")]
    assert [command[0] for command in commands] == ["data", "convert", "verify", "camera"]
    for name, *options in commands:
        command_parser(name).parse_args(options)  # exits if an option is unknown
        shipped = [o for o in options if o.startswith(PACKAGES)]
        assert all((REPOSITORY / path).is_file() for path in shipped), shipped
