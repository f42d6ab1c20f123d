"""Download of the parts of a lane into ``.arm/``.

Debian packages come from this machine's apt sources, with a private apt state that leaves the system unchanged; wheels
come from this machine's pip. A lane is downloaded again only when its description changes.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from arm.lanes import ARM, LANES, PYTHON, REPOSITORY, Lane

__all__ = ["CPUS", "Unavailable", "cpu_root", "fetch", "fetch_opencv", "fetch_packages", "install_project", "locked"]

SUITE = "bookworm"  # the Debian that has Python 3.11
_VERSION = 1  # of this module: increase it when a change here makes downloaded lanes invalid

# Content of /proc/cpuinfo on the boards. ai-edge-litert chooses its kernels by it, and crashes on that of x86.
_V8 = "fp asimd evtstrm crc32 cpuid"
_V82 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
_V7 = "half thumb fastmult vfp edsp neon vfpv3 tls vfpv4 idiva idivt vfpd32 lpae evtstrm"
CPUS = {"cortex-a53": ("8", "0xd03", _V8), "cortex-a72": ("8", "0xd08", _V8), "cortex-a76": ("8", "0xd0b", _V82)}
_CPUINFO = {**CPUS, "cortex-a7": ("7", "0xc07", _V7)}
_CORES = 4


class Unavailable(Exception):
    """This machine cannot run or download a lane; the message gives the reason in one line."""


def fetch(lane: Lane) -> None:
    """Download ``lane`` unless it is up to date.

    Raises:
        Unavailable: this machine cannot run or download it.
    """
    for command, remedy in ((lane.emulator, "qemu-user"), ("dpkg-deb", "dpkg"), ("apt-get", "apt")):
        if shutil.which(command) is None:
            raise Unavailable(f"{command} is not installed (Debian: sudo apt install {remedy})")
    with locked(ARM / f"{lane.name}.lock"):
        stamp, digest = lane.folder / "ready", _digest(lane)
        if stamp.is_file() and stamp.read_text() == digest:
            return
        shutil.rmtree(lane.folder, ignore_errors=True)
        lane.folder.mkdir(parents=True)
        _unpack_packages(lane)
        _install_wheels(lane)
        _describe_cpu(lane.root, lane.cpu)
        _compile(lane.root / "usr" / "lib", lane.site)
        stamp.write_text(digest)


def fetch_opencv(lane: Lane) -> Path:
    """Return the folder of OpenCV's wheel for ``lane``, downloaded unless it is there."""
    (pin,) = _pins(lane, ["opencv-python-headless"])
    folder = lane.folder / pin
    with locked(ARM / f"{lane.name}.lock"):
        if not folder.is_dir():
            partial = lane.folder / "opencv.partial"
            shutil.rmtree(partial, ignore_errors=True)
            _pip("install", *_platform(lane), "--no-deps", "--no-compile", "--target", str(partial), pin)
            partial.rename(folder)
    return folder


def install_project(lane: Lane, wheel: Path) -> None:
    """Install this project's wheel in the lane with pip, unless the same wheel is installed."""
    with locked(ARM / f"{lane.name}.lock"):
        with zipfile.ZipFile(wheel) as archive:
            content = repr(sorted((info.filename, info.CRC) for info in archive.infolist()))
        stamp = lane.folder / "installed"
        if stamp.is_file() and stamp.read_text() == content:
            return
        stamp.unlink(missing_ok=True)
        shutil.rmtree(lane.project, ignore_errors=True)
        _pip("install", "--no-deps", "--no-compile", "--target", str(lane.project), str(wheel))
        _compile(lane.project)
        stamp.write_text(content)


def cpu_root(lane: Lane, cpu: str) -> Path:
    """Create a root with the files of the lane's and the description of another processor; return its path."""
    root = lane.folder / cpu
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for path in lane.root.iterdir():
        if path.name not in ("proc", "sys"):
            (root / path.name).symlink_to(path)
    _describe_cpu(root, cpu)
    return root


def _describe_cpu(root: Path, cpu: str) -> None:
    architecture, part, features = _CPUINFO[cpu]
    lines = ["BogoMIPS\t: 108.00", f"Features\t: {features}", "CPU implementer\t: 0x41"]
    lines += [f"CPU architecture: {architecture}", "CPU variant\t: 0x0", f"CPU part\t: {part}", "CPU revision\t: 3"]
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc" / "cpuinfo").write_text(
        "".join("\n".join([f"processor\t: {core}", *lines, "", ""]) for core in range(_CORES))
    )
    # The boards' number of cores, not this machine's: kernels are chosen by it.
    system = root / "sys" / "devices" / "system" / "cpu"
    system.mkdir(parents=True, exist_ok=True)
    for name in ("possible", "present", "online"):
        (system / name).write_text(f"0-{_CORES - 1}\n")


def _digest(lane: Lane) -> str:
    pins = (REPOSITORY / lane.constraints).read_bytes()
    return hashlib.sha256(repr((_VERSION, lane, _CPUINFO)).encode() + pins).hexdigest()


def _unpack_packages(lane: Lane) -> None:
    for package in fetch_packages(lane.folder / "apt", lane.architecture, lane.packages):
        lane.root.mkdir(exist_ok=True)
        _call(["dpkg-deb", "-x", str(package), str(lane.root)], f"{package.name} cannot be unpacked")
    shutil.rmtree(lane.folder / "apt")


def fetch_packages(apt: Path, architecture: str, packages: Sequence[str]) -> list[Path]:
    """Download Debian packages and their dependencies into the new folder ``apt``; return their files.

    Raises:
        Unavailable: this machine cannot download them.
    """
    sources = apt / "sources"
    sources.mkdir(parents=True)
    for path in (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))):
        if path.suffix in (".list", ".sources") and path.is_file() and _is_of_suite(path.read_text()):
            shutil.copy(path, sources)
    if not any(sources.iterdir()):
        raise Unavailable(f"apt has no source for Debian {SUITE}, whose Python the lane runs")
    for folder in ("lists/partial", "cache/archives/partial"):
        (apt / folder).mkdir(parents=True)
    (apt / "status").touch()
    options = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Default-Release": "",
        "APT::Install-Recommends": "0",
        "APT::Sandbox::User": "",  # the _apt user may lack permission for the folder
        "Dir::Etc::sourcelist": os.devnull,
        "Dir::Etc::sourceparts": str(sources),
        "Dir::Etc::preferences": os.devnull,
        "Dir::Etc::preferencesparts": os.devnull,
        "Dir::State": str(apt),
        "Dir::State::lists": str(apt / "lists"),
        "Dir::State::status": str(apt / "status"),
        "Dir::Cache": str(apt / "cache"),
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "DPkg::Pre-Install-Pkgs::": "",
    }
    command = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    # A mirror that is being updated may lack a list. Only the download of the packages must succeed.
    with suppress(Unavailable):
        _call([*command, "update"], "apt cannot read its lists")
    _call(
        [*command, "--yes", "--download-only", "--no-install-recommends", "install", *packages],
        f"apt cannot fetch {' '.join(packages)} for {architecture}",
    )
    return sorted((apt / "cache" / "archives").glob("*.deb"))


def _is_of_suite(sources: str) -> bool:
    lines = (line for line in sources.splitlines() if not line.lstrip().startswith("#"))
    return any(re.search(rf"(^|\s){SUITE}(\s|$)", line) for line in lines)


def _install_wheels(lane: Lane) -> None:
    arguments = _platform(lane)
    if lane.libraries:  # NumPy is Debian's
        # With their pure-Python dependencies.
        dependencies = ("iniconfig", "packaging", "pluggy", "Pygments", "sortedcontainers")
        requirements = _pins(lane, [*lane.wheels, *dependencies])
        arguments.append("--no-deps")
    else:
        requirements = list(lane.wheels)
        arguments += ["--constraint", str(REPOSITORY / lane.constraints)]
    _pip("install", *arguments, "--no-compile", "--target", str(lane.site), *requirements)


def _platform(lane: Lane) -> list[str]:
    """Return pip's options for wheels of the lane's processor and Python."""
    platforms = [f"manylinux_2_{minor}_{lane.machine}" for minor in (34, 31, 28, 27, 17)]
    platforms.append(f"manylinux2014_{lane.machine}")
    arguments = [argument for platform in platforms for argument in ("--platform", platform)]
    return [*arguments, "--python-version", PYTHON, "--implementation", "cp", "--only-binary", ":all:"]


def _pins(lane: Lane, names: Sequence[str]) -> list[str]:
    """Return requirements with the versions of the lane's constraints."""
    pins = dict(line.split("==") for line in (REPOSITORY / lane.constraints).read_text().split("\n") if "==" in line)
    return [f"{name}=={pins[name]}" for name in names]


def _compile(*folders: Path) -> None:
    """Compile the byte code natively, if this Python has the lane's version; under emulation that takes a minute."""
    if sys.version_info[:2] == tuple(map(int, PYTHON.split("."))):
        # Fails on deliberately invalid files, such as those of Python 2, which are never imported.
        names = [str(folder) for folder in folders]
        subprocess.run([sys.executable, "-m", "compileall", "-qq", *names], check=False, capture_output=True)


def _pip(*arguments: str) -> None:
    _call(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", *arguments], "pip cannot fetch or install"
    )


def _call(command: list[str], problem: str) -> None:
    completed = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if completed.returncode:
        last_line = (
            completed.stderr.strip() or completed.stdout.strip() or f"exit status {completed.returncode}"
        ).splitlines()[-1]
        raise Unavailable(f"{problem}: {last_line}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock on ``path``, also between processes."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    for name in sys.argv[1:] or LANES:
        fetch(LANES[name])
        print(f"{name}: ready")
