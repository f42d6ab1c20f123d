"""Comparison of a bundle with the one that it replaces."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from converters.verification.latency import Latency
from converters.verification.limits import Limits
from converters.verification.replacement import Replacement
from edge_ssd import cli
from edge_ssd.evaluation.average_precision import AveragePrecision
from edge_ssd.evaluation.bootstrap import Interval
from edge_ssd.evaluation.false_alarms import OperatingPoint
from edge_ssd.runtime.shipped_models import find_model


def replacement(before: float, after: float, interval: tuple[float, float] | None = None) -> Replacement:
    old, new = (AveragePrecision(ap, 1.0, 0.5, {"a": ap, "b": None}, 40, 50) for ap in (before, after))
    points = OperatingPoint(0.5, 0, 0, 40, 0, 0.75), OperatingPoint(0.375, 2, 0, 40, 0, 0.9)
    latency = Latency((2.0, 1.0), "ai-edge-litert", 1)
    return Replacement((old, new), interval and Interval(*interval), points, (400_000, 100_000), latency)


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((0.01, 0.2), "95 % interval +0.0100 to +0.2000: the new model is better"),
        ((-0.01, 0.2), "95 % interval -0.0100 to +0.2000: no significant difference"),
        ((-0.3, -0.2), "95 % interval -0.3000 to -0.2000: the new model is worse"),
    ],
)
def test_interval_decides_which_model_is_better(interval: tuple[float, float], verdict: str) -> None:
    lines = replacement(0.5, 0.625, interval).to_text("images (val)").splitlines()
    assert lines[0] == "40 images of images (val), 50 objects"
    assert lines[2].split() == ["AP", "0.500", "0.625", "+0.1250"]
    assert [line.split()[0] for line in lines[2:6]] == ["AP", "AP50", "AP75", "a"], "b has no objects"
    assert lines[6] == f"AP difference: +0.1250, {verdict}"
    assert lines[7].startswith("old with its score threshold 0.5: 0.0 false alarms per 100 images")
    assert lines[8].startswith("new with its score threshold 0.375: 5.0 false alarms per 100 images")
    assert lines[9:] == [
        "size: 0.40 → 0.10 MB (4 times smaller)",
        "latency: 2.00 → 1.00 ms (2 times faster; ai-edge-litert, 1 thread, interleaved)",
    ]


@pytest.mark.parametrize(
    ("before", "after", "limits", "allowed", "verdicts"),
    [
        (0.5, 0.4, Limits(), True, []),
        (0.5, 0.49, Limits(0.01), True, ["within the budget: 0.0100 AP lost, 0.01 allowed"]),
        (0.5, 0.48, Limits(0.01), False, ["EXCEEDS the budget: 0.0200 AP lost, 0.01 allowed"]),
        (0.5, 0.001, Limits(0.9), False, ["BELOW the minimum (--min-ap): AP 0.001, 0.01 required"]),
    ],
)
def test_limits_of_a_replacement(
    before: float, after: float, limits: Limits, allowed: bool, verdicts: list[str]
) -> None:
    result = replacement(before, after)
    assert (limits.allows(result), limits.replacement_verdicts(result)) == (allowed, verdicts)


def test_verify_measures_a_bundle_against_an_older_one(
    squares_conversion: Any, squares: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = shutil.copy(squares_conversion.path, tmp_path / "old.tflite")
    words = ["verify", str(squares_conversion.path), "--data", str(squares), "--against"]
    assert cli.main([*words, str(old), "--budget", "0"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{squares_conversion.path} in place of {old}"
    assert "AP difference: +0.0000, 95 % interval +0.0000 to +0.0000: no significant difference" in out
    assert out[-1] == "within the budget: 0.0000 AP lost, 0 allowed"
    assert cli.main([*words, str(old), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["old"] == result["new"]
    assert (result["difference"], result["passed"]) == (0.0, True)
    for more, message in (
        ([str(old), "--explain"], "--explain needs the float model: --against MODEL.keras"),
        ([str(tmp_path / "none.tflite")], "none.tflite: no such file"),
        ([str(find_model("banana-nano"))], "its labels are"),
    ):
        assert cli.main([*words, *more]) == 2
        assert message in capsys.readouterr().err
