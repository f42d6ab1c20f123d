"""The machine's state. A folder stands in for sysfs, and a script on PATH for a Raspberry Pi's vcgencmd."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from device_apps import health
from device_apps.health import Health, memory_bytes, temperature_c, throttled


def zone(folder: Path, number: int, kind: str, temperature: str) -> None:
    path = folder / f"thermal_zone{number}"
    path.mkdir(parents=True)
    (path / "type").write_text(f"{kind}\n")
    (path / "temp").write_text(f"{temperature}\n")


def vcgencmd(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / "vcgencmd"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from Linux's /proc")
def test_memory_is_that_of_this_process() -> None:
    before = memory_bytes()
    held = np.ones(64 * 2**20, np.uint8)
    after = memory_bytes()
    assert before is not None
    assert after is not None
    assert 60 * 2**20 < after - before < 80 * 2**20
    assert held[-1] == 1


def test_the_temperature_is_the_processors(tmp_path: Path) -> None:
    zone(tmp_path, 0, "gpu-thermal", "40000")
    zone(tmp_path, 1, "cpu-thermal", "51234")
    assert temperature_c(tmp_path) == 51.234


def test_else_that_of_the_first_zone_that_can_be_read(tmp_path: Path) -> None:
    zone(tmp_path, 0, "acpitz", "none")
    zone(tmp_path, 1, "pch", "38500")
    zone(tmp_path, 2, "iwl", "60000")
    assert temperature_c(tmp_path) == 38.5


def test_no_thermometer(tmp_path: Path) -> None:
    assert temperature_c(tmp_path) is None
    assert temperature_c(tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("throttled=0x0", ""),
        ("throttled=0x1", "under-voltage now"),
        ("throttled=0x50000", "under-voltage since the start, throttled since the start"),
        ("throttled=0x80008", "near the temperature limit now, near the temperature limit since the start"),
        ("throttled=0x20006", "frequency capped now, throttled now, frequency capped since the start"),
        ("VCHI initialization failed", None),
        ("", None),
    ],
)
def test_what_vcgencmd_says_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, words: str | None
) -> None:
    vcgencmd(tmp_path / "bin", monkeypatch, f'[ "$1" = get_throttled ] && echo "{answer}"')
    assert throttled() == words


def test_no_vcgencmd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert throttled() is None


def test_vcgencmd_is_not_started_at_each_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = tmp_path / "count"
    vcgencmd(tmp_path / "bin", monkeypatch, f"echo x >> {count}; echo throttled=0x4")
    readings = Health()
    assert [readings.read()[2] for _ in range(5)] == ["throttled now"] * 5
    assert count.read_text() == "x\n"
    monkeypatch.setattr(health, "_ASK_AGAIN_S", 0.0)
    readings.read()
    assert count.read_text() == "x\nx\n"
