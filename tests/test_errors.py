from __future__ import annotations

import pytest

from edge_ssd import errors

CLASSES = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("error", CLASSES, ids=lambda error: error.__name__)
def test_every_error_derives_from_base_class(error: type[Exception]) -> None:
    assert issubclass(error, errors.EdgeSSDError)
    assert error.__doc__
    assert errors.__doc__
    assert f" {error.__name__} " in errors.__doc__, "draw it in the module's tree"


def test_errors_that_are_value_errors() -> None:
    """Those that a wrong argument causes, so that a library's user may treat them as Python's own."""
    also = {error.__name__ for error in CLASSES if issubclass(error, ValueError)}
    assert also == {"ImageError", "NetworkError", "SettingError"}
