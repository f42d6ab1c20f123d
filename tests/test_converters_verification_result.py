"""Words for the differences of a verification, and its limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converters.verification.agreement import Agreement
from converters.verification.latency import Latency
from converters.verification.limits import Limits
from converters.verification.result import Verification, describe_change, describe_ratio
from edge_ssd.data.dataset import Dataset, Sample
from edge_ssd.errors import SettingError
from edge_ssd.evaluation.average_precision import AveragePrecision
from edge_ssd.evaluation.evaluate import Evaluation
from edge_ssd.evaluation.false_alarms import OperatingPoint


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (20.0, 5.7, "3.51 times faster"),
        (8.0, 10.0, "1.25 times slower"),
        (10.0, 10.01, "not faster"),
        (10.01, 10.0, "not faster"),
        (1000.0, 10.0, "100 times faster"),
    ],
)
def test_ratio_is_described_from_its_larger_side(before: float, after: float, words: str) -> None:
    assert describe_ratio(before, after, "faster", "slower") == words


@pytest.mark.parametrize(
    ("difference", "words"), [(-0.0049, "0.0049 AP lost"), (0.0049, "0.0049 AP gained"), (0.0, "0.0000 AP lost")]
)
def test_change_of_precision_has_no_sign(difference: float, words: str) -> None:
    assert describe_change(difference) == words


def verification(before: float, after: float, detections: tuple[int, int] = (3, 3)) -> Verification:
    """Return a result with these AP and numbers of confident detections, of the float and the converted model."""
    evaluations = [Evaluation(AveragePrecision(ap, ap, ap, {"a": ap}, 1, 1), (), 1.0) for ap in (before, before, after)]
    agreement = Agreement(0.5, 0, *detections, None, None, None, None)
    dataset = Dataset(Path("set"), ("a",), (Sample(Path("1.png"), np.zeros((0, 4)), np.zeros(0)),), "voc")
    points = (OperatingPoint(0.5, 0, 0, 1, 0, 1.0),) * 2
    latency = Latency((2.0, 1.0), "ai-edge-litert", 1)
    return Verification(dataset, *evaluations, None, agreement, points, (4, 1), latency)


@pytest.mark.parametrize(
    ("result", "limits", "verdicts"),
    [
        (verification(0.5, 0.49), Limits(), []),
        (verification(0.5, 0.49), Limits(0.01), ["within the budget: 0.0100 AP lost, 0.01 allowed"]),
        (verification(0.5, 0.51), Limits(0.01), ["within the budget: 0.0100 AP gained, 0.01 allowed"]),
        (verification(0.5, 0.48), Limits(0.01), ["EXCEEDS the budget: 0.0200 AP lost, 0.01 allowed"]),
        (verification(0.0, 0.0), Limits(), ["AP 0.000, 0.01 required; the float model is no better"]),
        (verification(0.5, 0.005), Limits(), ["AP 0.005, 0.01 required; the conversion lost what"]),
        (verification(0.5, 0.4), Limits(min_ap=0.45), ["AP 0.400, 0.45 required; the conversion lost what"]),
        (
            verification(0.1, 0.1, (0, 0)),
            Limits(),
            ["no detection with a score of 0.5 in 1 image; the float model is"],
        ),
        (verification(0.1, 0.1, (3, 0)), Limits(), ["no detection with a score of 0.5 in 1 image; the conversion"]),
        (verification(0.0, 0.0, (0, 0)), Limits(0.0), ["no detection with a score of 0.5"]),
        (verification(0.0, 0.0, (0, 0)), Limits(min_ap=0), []),
    ],
)
def test_verdicts_name_what_fails(result: Verification, limits: Limits, verdicts: list[str]) -> None:
    lines = limits.verdicts(result)
    assert len(lines) == len(verdicts)
    assert all(part in line for part, line in zip(verdicts, lines, strict=True)), lines
    assert limits.passed(result) is not any(line.startswith(("EXCEEDS", "BELOW")) for line in lines)


@pytest.mark.parametrize("limits", [{"budget": -0.1}, {"budget": 1.1}, {"min_ap": -0.1}, {"min_ap": 2}])
def test_limits_are_average_precisions(limits: dict[str, float]) -> None:
    with pytest.raises(SettingError, match="from 0 to 1"):
        Limits(**limits)
