"""The state of the machine, with a fake sysfs folder and a fake vcgencmd on PATH."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from device_apps.machine import Health, memory_bytes, temperature_c, throttled


def make_zone(folder: Path, number: int, kind: str, temperature: str) -> None:
    path = folder / f"thermal_zone{number}"
    path.mkdir(parents=True)
    (path / "type").write_text(f"{kind}\n")
    (path / "temp").write_text(f"{temperature}\n")


def install_vcgencmd(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / "vcgencmd"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from Linux's /proc")
def test_memory_bytes_follows_allocations() -> None:
    before = memory_bytes()
    array = np.ones(64 * 2**20, np.uint8)
    after = memory_bytes()
    assert before is not None
    assert after is not None
    assert 60 * 2**20 < after - before < 80 * 2**20
    assert array[-1] == 1


def test_temperature_prefers_the_processor_zone(tmp_path: Path) -> None:
    make_zone(tmp_path, 0, "gpu-thermal", "40000")
    make_zone(tmp_path, 1, "cpu-thermal", "51234")
    assert temperature_c(tmp_path) == 51.234


def test_temperature_falls_back_to_the_first_readable_zone(tmp_path: Path) -> None:
    make_zone(tmp_path, 0, "acpitz", "none")
    make_zone(tmp_path, 1, "pch", "38500")
    make_zone(tmp_path, 2, "iwl", "60000")
    assert temperature_c(tmp_path) == 38.5


def test_temperature_without_zones_is_none(tmp_path: Path) -> None:
    assert temperature_c(tmp_path) is None
    assert temperature_c(tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("output", "expected"),
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
def test_throttled_decodes_the_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, expected: str | None
) -> None:
    install_vcgencmd(tmp_path / "bin", monkeypatch, f'[ "$1" = get_throttled ] && echo "{output}"')
    assert throttled() == expected


def test_throttled_without_vcgencmd_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert throttled() is None


def test_health_limits_the_calls_of_vcgencmd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = tmp_path / "count"
    install_vcgencmd(tmp_path / "bin", monkeypatch, f"echo x >> {count}; echo throttled=0x4")
    health = Health()
    assert [health.read()[2] for _ in range(5)] == ["throttled now"] * 5
    assert count.read_text() == "x\n"
    health = Health(throttling_interval=0.0)
    for _ in range(2):
        health.read()
    assert count.read_text() == "x\nx\nx\n"
