"""Lane with the packages of Debian Bookworm, on which Raspberry Pi OS Bookworm is based, behind a virtual environment.

It has Debian's own NumPy 1.24, OpenCV 4.6 and Pillow 9.4, and ``sep``, an extension that was built with this NumPy as
simplejpeg of picamera2 was. The packages are unpacked, not installed, for this machine's architecture; virtual
environments of Debian's Python find them behind their own packages, as with --system-site-packages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from arm.fetch import Unavailable, fetch_packages, locked
from arm.lanes import ARM

__all__ = ["Environment", "fetch_bookworm"]

FOLDER = ARM / "bookworm"
_PYTHON = Path("/usr/bin/python3.11")
_PACKAGES = ("python3-numpy", "python3-opencv", "python3-pil", "python3-sep")
# Large packages that nothing here loads, and parts of the others.
_UNUSED = ("libllvm", "libgl1-mesa-dri", "libz3", "perl", "libperl", "proj-data", "python3.11", "libpython3")
_LEFT_OUT = ("usr/share", "usr/include", "usr/bin", "usr/sbin", "bin", "sbin", "etc", "var", "lib64", "lib")
_LIBRARIES = ("", "blas", "lapack", "pulseaudio")
_STATE = "3"  # of this module: changed when downloaded lanes become invalid


def fetch_bookworm() -> None:
    """Download and unpack the packages, unless they are there.

    Raises:
        Unavailable: this machine is not Debian Bookworm, or cannot download them.
    """
    release = Path("/etc/os-release")
    if not _PYTHON.exists() or not release.is_file() or "bookworm" not in release.read_text():
        raise Unavailable("needs Debian 12 (bookworm) with its python3.11")
    with locked(ARM / "bookworm.lock"):
        stamp = FOLDER / "ready"
        if stamp.is_file() and stamp.read_text() == _STATE:
            return
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        architecture = subprocess.run(
            ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
        ).stdout.strip()
        packages = fetch_packages(FOLDER / "apt", architecture, _PACKAGES)
        (FOLDER / "root").mkdir()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(_unpack, [path for path in packages if not path.name.startswith(_UNUSED)]))
        shutil.rmtree(FOLDER / "apt")
        stamp.write_text(_STATE)


def _unpack(package: Path) -> None:
    options = [f"--exclude=./{path}" for path in _LEFT_OUT]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as archive:
        # The libraries of /lib are those of this machine.
        unpacked = subprocess.run(["tar", "-x", "-C", FOLDER / "root", *options], stdin=archive.stdout, check=False)
    if unpacked.returncode or archive.returncode:
        raise Unavailable(f"{package.name} cannot be unpacked")


class Environment:
    """Virtual environment of Debian's Python in ``folder``, behind whose packages are those of Debian."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([_PYTHON, "-m", "venv", "--without-pip", folder], check=True)
        self.python = folder / "bin" / "python"
        site = folder / "lib" / "python3.11" / "site-packages"
        (site / "system.pth").write_text(f"{FOLDER / 'root' / 'usr' / 'lib' / 'python3' / 'dist-packages'}\n")

    def install(self, *requirements: str) -> None:
        """Install with pip, as in a README."""
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", "--python", self.python]
        done = subprocess.run([*pip, "install", *requirements], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"pip cannot install {' '.join(requirements)}: {done.stderr.strip()[-300:]}")

    def run(self, *arguments: object, path: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run Python; ``path`` is in front of its packages."""
        root = FOLDER / "root" / "usr" / "lib"
        libraries = [root, *(machine / name for machine in root.glob("*-linux-gnu*") for name in _LIBRARIES)]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        environment |= {"LD_LIBRARY_PATH": ":".join(map(str, libraries)), "OPENBLAS_NUM_THREADS": "1"}
        if path is not None:
            environment["PYTHONPATH"] = str(path)
        command = [str(self.python), *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
