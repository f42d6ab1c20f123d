"""What viewers may change, and what they may not."""

from __future__ import annotations

import json

import pytest
from real_model import real_model

from device_apps.web.settings import apply_settings, current_settings
from edge_ssd import Detector
from edge_ssd.errors import SettingError


@pytest.fixture
def detector() -> Detector:
    return Detector(real_model(), score_threshold=0.4, num_threads=1)


def test_current_settings_of_a_detector(detector: Detector) -> None:
    assert current_settings(detector) == {
        "score_threshold": 0.4,
        "score_threshold_default": 0.5,
        "score_threshold_min": 0.1,
        "score_thresholds": {"banana": 0.4},
        "classes": ["banana"],
        "labels": ["banana"],
    }


@pytest.mark.parametrize(
    ("body", "threshold"),
    [
        ('{"score_threshold": 0.75}', 0.75),
        ('{"score_threshold": 0.1}', 0.1),
        ('{"score_threshold": 1, "classes": ["banana"]}', 1.0),
        ('{"classes": null}', 0.4),
        ('{"score_threshold": null}', 0.5),  # The model's own.
    ],
)
def test_apply_settings_changes_the_detector(detector: Detector, body: str, threshold: float) -> None:
    apply_settings(detector, body.encode())
    assert detector.min_score_threshold == threshold
    assert detector.classes == ("banana",)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        *((body, "the body must be JSON") for body in (b"", b"\xff\xfe\xff", b"score_threshold=1")),
        (b"[" * 50_000, "the body is nested too deeply"),
        (b"[]", "the body must be a JSON object"),
        (b"{}", "no setting is given; settings are score_threshold, classes"),
        (b'{"iou_threshold": 0.1}', "unknown setting 'iou_threshold'; settings are score_threshold, classes"),
        (b'{"self": 0.1}', "unknown setting 'self'"),
        *(
            (b'{"score_threshold": %s}' % value, "score_threshold must be a number from 0.1 to 1")
            for value in (
                b"1.01",
                b"0.0999",
                b"0",
                b"-0.0001",
                b"NaN",
                b"Infinity",
                b"1e999",
                b'"0.5"',
                b"true",
                b'{"banana": 0.1}',
            )
        ),
        (b'{"classes": "banana"}', "classes must be a list of labels"),
        (b'{"classes": [0]}', "classes must be a list of labels"),
        (b'{"classes": []}', "needs at least one class"),
        (b'{"classes": ["apple"]}', "has no class 'apple'"),
        (b'{"score_threshold": 0.9, "classes": ["apple"]}', "has no class 'apple'"),
    ],
)
def test_invalid_settings_change_nothing(detector: Detector, body: bytes, problem: str) -> None:
    with pytest.raises(SettingError) as error:
        apply_settings(detector, body)
    assert problem in str(error.value)
    assert (detector.min_score_threshold, detector.classes) == (0.4, ("banana",))


def test_huge_threshold_is_refused(detector: Detector) -> None:
    with pytest.raises(SettingError):
        apply_settings(detector, json.dumps({"score_threshold": 10**400}).encode())
    with pytest.raises(SettingError):  # More digits than Python converts.
        apply_settings(detector, b'{"score_threshold": ' + b"9" * 10_000 + b"}")
