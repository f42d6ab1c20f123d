"""The quantization schemes."""

from __future__ import annotations

from typing import Literal, get_args

__all__ = ["CALIBRATED_SCHEMES", "INT8_SCHEMES", "SCHEMES", "KeepType", "Scheme"]

Scheme = Literal["int8", "mixed", "int16x8", "dynamic", "float16", "none"]
"""
int8      weights, activations and heads in int8: the scheme for a board
mixed     int8, except chosen layers in float or with int16 activations, if int8 loses too much precision
int16x8   int8 weights, int16 activations and heads: closest to float, but slow, since few kernels are optimized for it
dynamic   int8 weights, float computation if a kernel needs it; float heads
float16   weights stored as float16, half the size of float; float heads
none      float32 throughout
"""

KeepType = Literal["float", "int16"]
"""Activations of the layers that the scheme "mixed" keeps out of int8."""

SCHEMES: tuple[Scheme, ...] = get_args(Scheme)

INT8_SCHEMES: tuple[Scheme, ...] = ("int8", "mixed")
"""Schemes with int8 activations."""

CALIBRATED_SCHEMES: tuple[Scheme, ...] = (*INT8_SCHEMES, "int16x8")
"""Schemes that need calibration images to choose the ranges of activations."""
