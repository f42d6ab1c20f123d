"""Pytest plug-in for the emulated lanes: fewer tests and Hypothesis examples, and the floating-point mode it needs."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest
from hypothesis import settings

__all__ = ["EXAMPLES"]

# Emulation is about twenty times slower. Only arithmetic and libraries can differ from x86, which a few examples cover;
# the full number runs natively.
EXAMPLES = 5

_DEFAULT_ENVIRONMENT = ctypes.c_void_p(-1)  # FE_DFL_ENV of <fenv.h>, in both of Debian's ARM architectures


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    # After tests/conftest.py has loaded its own profile.
    settings.register_profile("emulated", settings(), max_examples=EXAMPLES, derandomize=True, database=None)
    settings.load_profile("emulated")


def pytest_collection_modifyitems(config: pytest.Config, items: list[Any]) -> None:
    independent = [item for item in items if item.get_closest_marker("machine_independent")]
    config.hook.pytest_deselected(items=independent)
    items[:] = [item for item in items if item not in independent]
    for item in items:
        test = getattr(item.obj, "__func__", item.obj)
        test_settings = getattr(test, "_hypothesis_internal_use_settings", None)
        if test_settings is not None:
            max_examples = min(test_settings.max_examples, EXAMPLES)
            test._hypothesis_internal_use_settings = settings(
                test_settings, max_examples=max_examples, derandomize=True, database=None
            )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    # tflite-runtime is compiled with -ffast-math: loading it disables subnormal numbers in the thread, and Hypothesis
    # then refuses to generate floats. `guest_detect.py` leaves them disabled, as for a user.
    ctypes.CDLL("libm.so.6").fesetenv(_DEFAULT_ENVIRONMENT)
