"""A pytest plug-in for the emulated lanes: fewer hypothesis examples, and the floating-point mode that it needs."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest
from hypothesis import settings

__all__ = ["EXAMPLES"]

# Emulation is some twenty times slower, and the logic is the same on every machine: what can differ is arithmetic and
# libraries, which a few examples go through. The full number runs natively.
EXAMPLES = 5

_DEFAULT_ENVIRONMENT = ctypes.c_void_p(-1)  # FE_DFL_ENV of <fenv.h>, in both of Debian's ARM architectures


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    # After tests/conftest.py has loaded its own profile.
    settings.register_profile("emulated", settings(), max_examples=EXAMPLES, derandomize=True, database=None)
    settings.load_profile("emulated")


def pytest_collection_modifyitems(items: list[Any]) -> None:
    for item in items:
        test = getattr(item.obj, "__func__", item.obj)
        own = getattr(test, "_hypothesis_internal_use_settings", None)
        if own is not None:
            fewer = min(own.max_examples, EXAMPLES)
            test._hypothesis_internal_use_settings = settings(own, max_examples=fewer, derandomize=True, database=None)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    # tflite-runtime's library is compiled with -ffast-math: being loaded, it switches the thread's subnormal numbers
    # off, and hypothesis refuses to make floats so. `guest_detect.py` leaves them off, as they are for a user.
    ctypes.CDLL("libm.so.6").fesetenv(_DEFAULT_ENVIRONMENT)
