"""Environments in which users run it: no home folder, limits of memory."""

from __future__ import annotations

import os
import resource
import sys
from functools import partial

import pytest
from conftest import CLIP
from processes import run_python

# A user without a name and without HOME, as in a container that runs under any number.
_NOBODY = """
import os, pwd, sys
os.environ.pop("HOME", None)
def unknown(*number): raise KeyError("uid not found")
pwd.getpwuid = pwd.getpwnam = unknown
sys.argv[0] = "edge-ssd"
from edge_ssd import cli
sys.exit(cli.main())
"""
_LINUX = sys.platform.startswith("linux")


def run_as_nobody(*options: object) -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    done = run_python("-c", _NOBODY, *options, env=environment)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_mqtt_without_a_home_folder_names_the_option() -> None:
    options = ["camera", "--headless", "--source", CLIP, "--max-frames", "2", "--mqtt", "mqtt://127.0.0.1:9"]
    status, err = run_as_nobody(*options)
    assert status == 2
    assert "edge-ssd: error: --mqtt: this user has no home folder" in err
    assert "name a file with --mqtt-spool, or set HOME" in err


def test_camera_and_doctor_run_without_a_home_folder() -> None:
    status, err = run_as_nobody("camera", "--headless", "--source", CLIP, "--max-frames", "2", "--events", "/dev/null")
    assert status == 0, err
    status, err = run_as_nobody("doctor")
    assert status in (0, 1), err


@pytest.mark.skipif(not _LINUX or sys.maxsize < 2**32, reason="RLIMIT_AS of 64-bit Linux")
@pytest.mark.parametrize("megabytes", [300, 450, 700])
def test_limited_address_space_is_one_line(megabytes: int) -> None:
    limit = partial(resource.setrlimit, resource.RLIMIT_AS, (megabytes * 10**6,) * 2)
    done = run_python(
        "-m", "edge_ssd", "camera", "--headless", "--source", CLIP, preexec_fn=limit,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"edge-ssd: error: ulimit -v allows {megabytes} MB of addresses, and the interpreter" in done.stderr
    assert "run: ulimit -v unlimited" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_memory_error_is_one_line() -> None:
    script = (
        "import sys; from edge_ssd import cli; from device_apps import doctor_command\n"
        "def fail(args): raise MemoryError\n"
        "doctor_command.run = fail; sys.exit(cli.main(['doctor']))"
    )
    done = run_python("-c", script)
    assert done.returncode == 2
    assert done.stderr.startswith("edge-ssd: error: out of memory; ")
    assert done.stderr.count("\n") == 1
