"""device_apps.sources.frame_buffers."""

from __future__ import annotations

import numpy as np

from device_apps.sources.frame_buffers import FrameBuffers


def image(height: int = 4) -> np.ndarray:
    return np.zeros((height, 6, 3), np.uint8)


def test_buffer_is_free_when_nothing_refers_to_it() -> None:
    buffers = FrameBuffers()
    assert buffers.free() is None
    frame = image()
    buffers.keep(frame)
    assert buffers.free() is None
    view = frame[..., ::-1]
    address = frame.ctypes.data
    del frame
    assert buffers.free() is None  # the view refers to it
    del view
    free = buffers.free()
    assert free is not None
    assert free.ctypes.data == address
    assert buffers.free() is None


def test_buffers_are_bounded_and_of_one_shape() -> None:
    buffers = FrameBuffers()
    frames = [image() for _ in range(20)]
    for frame in frames:
        buffers.keep(frame)
        buffers.keep(frame)
    assert len(buffers._arrays) == 8
    buffers.keep(image(5))
    assert [array.shape for array in buffers._arrays] == [(5, 6, 3)]
