"""Emulated ARM systems that the tests run on, called lanes.

A lane is a Debian Python of the foreign architecture, unpacked into a folder but not installed, and wheels of that
architecture, run by QEMU's user emulation: no root file system image, no chroot, no binfmt handlers.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

__all__ = ["ARM", "LANES", "PYTHON", "REPOSITORY", "Lane"]

REPOSITORY = Path(__file__).resolve().parents[2]
ARM = REPOSITORY / ".arm"  # all downloads and builds; not under version control
PYTHON = "3.11"  # of Debian Bookworm, and the last version with wheels of tflite-runtime

# Pinned by the same files as on x86.
_TEST_TOOLS = ("hypothesis", "pytest", "pytest-timeout")


@dataclass(frozen=True)
class Lane:
    """Emulated system.

    Attributes:
        name: name of the lane and of its folder.
        backend: package of the TFLite interpreter.
        architecture, machine: names of the architecture in Debian and in wheels.
        emulator: command of the emulator.
        cpu: emulated processor. Never the emulator's default, which enables extensions that no such board has, and has
            computed wrong numbers without an error.
        packages: Debian packages; their dependencies are added.
        wheels: requirements from the package index.
        constraints: file that pins the wheels.
        libraries: folders of shared libraries, relative to the root, that the loader does not search by default.
    """

    name: str
    backend: str
    architecture: str
    machine: str
    emulator: str
    cpu: str
    packages: tuple[str, ...]
    wheels: tuple[str, ...]
    constraints: str
    libraries: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return ARM / self.name

    @property
    def root(self) -> Path:
        """Files of the Debian packages."""
        return self.folder / "root"

    @property
    def site(self) -> Path:
        """Unpacked wheels."""
        return self.folder / "site"

    @property
    def project(self) -> Path:
        """This project, installed from its wheel."""
        return self.folder / "project"

    def command(
        self, *arguments: str | Path, cpu: str | None = None, root: Path | None = None, plugin: str | None = None
    ) -> list[str]:
        """Return the command line that runs ``python *arguments`` in this lane.

        Args:
            cpu: emulated processor; None for the lane's.
            root: folder used as ``/``; None for the lane's.
            plugin: plug-in of the emulator, with its arguments.
        """
        path = ":".join(map(str, (self.project, self.site, REPOSITORY / "tests")))
        # The user's site-packages are of this machine's architecture. One thread, so that counts repeat.
        environment = {
            "PYTHONPATH": path,
            "PYTHONNOUSERSITE": "1",
            "PYTHONHASHSEED": "0",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        if self.libraries:
            environment["LD_LIBRARY_PATH"] = ":".join(str(self.root / folder) for folder in self.libraries)
        command = [self.emulator, "-cpu", cpu or self.cpu, "-L", str(root or self.root)]
        for name, value in environment.items():
            command += ["-E", f"{name}={value}"]
        if plugin is not None:
            command += ["-plugin", plugin]
        # -P: import nothing from the current folder, the checkout.
        return [*command, str(self.root / "usr" / "bin" / f"python{PYTHON}"), "-P", *map(str, arguments)]

    def run(
        self,
        *arguments: str | Path,
        cpu: str | None = None,
        root: Path | None = None,
        plugin: str | None = None,
        timeout: float = 280,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``python *arguments`` in this lane, in the checkout, and capture its output; a failure does not raise."""
        command: Sequence[str] = self.command(*arguments, cpu=cpu, root=root, plugin=plugin)
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            cwd=REPOSITORY,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(self.folder), **(environment or {})},
        )


# 64-bit Raspberry Pi OS, set up as the README describes.
_AARCH64 = Lane(
    name="aarch64-litert",
    backend="ai-edge-litert",
    architecture="arm64",
    machine="aarch64",
    emulator="qemu-aarch64",
    cpu="cortex-a72",
    packages=("python3.11", "libstdc++6"),
    wheels=("ai-edge-litert", "numpy", "pillow", *_TEST_TOOLS),
    constraints=".ci/constraints.txt",
)

LANES = {
    lane.name: lane
    for lane in (
        _AARCH64,
        # The same system with the old interpreter, which needs NumPy 1.
        replace(
            _AARCH64,
            name="aarch64-tflite",
            backend="tflite-runtime",
            wheels=("tflite-runtime", "numpy", "pillow", *_TEST_TOOLS),
            constraints=".ci/constraints-tflite.txt",
        ),
        # 32-bit Raspberry Pi OS. NumPy and Pillow have no wheels for it and come from Debian.
        Lane(
            name="armhf-tflite",
            backend="tflite-runtime",
            architecture="armhf",
            machine="armv7l",
            emulator="qemu-arm",
            cpu="cortex-a7",
            packages=("python3.11", "libstdc++6", "python3-numpy", "python3-pil"),
            wheels=("tflite-runtime", *_TEST_TOOLS),
            constraints=".ci/constraints-tflite.txt",
            libraries=("usr/lib/arm-linux-gnueabihf/blas", "usr/lib/arm-linux-gnueabihf/lapack"),
        ),
    )
}
