"""Reader of a device in a child process, which can be killed when the library of the device hangs.

A call into a library that never returns keeps its device, and a thread cannot be ended. A process can: the system
releases its device, and the next process opens it anew. A crash of the library ends the child only.

The child gets the pickled function that opens the device, then a line for each frame that is wanted, on standard input;
it answers with a line of JSON each. Frames are in shared memory (memfd_create(2)). It ends when its input ends, also if
the library hangs.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import pickle
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from device_apps.sources.deferred_image import DeferredImage, Image
from device_apps.sources.frame_buffers import FrameBuffers
from device_apps.sources.frames import FrameReader
from edge_ssd.errors import EdgeSSDError, SourceError

__all__ = ["ProcessReader"]

_CLOSE_SECONDS = 0.4  # For the child to release its device, before it is killed.
_ORPHAN_SECONDS = 1.0  # The same without a parent.
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {module} import serve; serve(int(sys.argv[2]))"


class ProcessReader:
    """Opened device that a child process reads; see :class:`~device_apps.sources.frames.FrameReader`.

    Args:
        open_reader: opens the device, in the child; can be pickled.
        name: of the device, for messages.
        open_seconds: maximum time until the device is open, and again until its first frame.
        read_seconds: maximum time between two frames.
        max_interval: see :class:`~device_apps.sources.frames.FrameReader`.

    Raises:
        SourceError: the device cannot be opened, or the time is over. The child has ended.
    """

    live = True
    time = None

    def __init__(
        self,
        open_reader: Callable[[], FrameReader],
        name: str,
        *,
        open_seconds: float,
        read_seconds: float,
        max_interval: float = 0.0,
    ) -> None:
        self.max_interval = max_interval
        self._name = name
        self._read_seconds = open_seconds
        self._later_seconds = read_seconds
        self._memory = os.memfd_create("edge-ssd-frame")
        self._frame: mmap.mmap | None = None
        self._received = b""
        self._buffers = FrameBuffers()
        environment = {key: value for key, value in os.environ.items() if key not in ("NOTIFY_SOCKET", "WATCHDOG_PID")}
        try:
            self._child = subprocess.Popen(
                [sys.executable, "-c", _START.format(module=__name__), json.dumps(sys.path), str(self._memory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(self._memory,),
                env=environment,
                bufsize=0,
                start_new_session=True,  # Ctrl-C is for this process.
            )
        except OSError as error:
            os.close(self._memory)
            raise SourceError(f"{name}: its process cannot be started: {error.strerror or error}") from None
        try:
            self._send(pickle.dumps(open_reader).hex().encode())
            self.fps: float | None = self._answer(open_seconds)["fps"]
        except BaseException:
            self._end(0.0)
            raise

    def read(self) -> Image | DeferredImage | None:
        self._send(b"")
        shapes = [tuple(shape) for shape in self._answer(self._read_seconds)["shapes"]]
        self._read_seconds = self._later_seconds
        if not shapes:
            return None
        sizes = [int(np.prod(shape)) for shape in shapes]
        if self._frame is None or len(self._frame) < sum(sizes):
            self._frame = mmap.mmap(self._memory, sum(sizes), prot=mmap.PROT_READ)
        image = self._buffers.free()
        if image is None or image.shape != shapes[0]:
            image = np.empty(shapes[0], np.uint8)
        image[:] = np.frombuffer(self._frame, np.uint8, sizes[0]).reshape(shapes[0])
        self._buffers.keep(image)
        if len(shapes) == 1:
            return image
        pixels = np.frombuffer(self._frame, np.uint8, sizes[1], sizes[0]).reshape(shapes[1]).copy()
        return DeferredImage(pixels, image.shape[:2], lambda: image)

    def close(self) -> None:
        if self._child.stdin is not None:
            with contextlib.suppress(OSError):
                self._child.stdin.close()
        self._end(_CLOSE_SECONDS)

    def _send(self, line: bytes) -> None:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(line + b"\n")
        except OSError:
            raise SourceError(self._end_reason()) from None

    def _answer(self, seconds: float) -> dict[str, Any]:
        """Return the next answer of the child. Raises SourceError when it fails, crashes or takes longer."""
        assert self._child.stdout is not None
        end = time.monotonic() + seconds
        while b"\n" not in self._received:
            ready, _, _ = select.select([self._child.stdout], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                self._end(0.0)
                raise SourceError(f"{self._name}: no answer from the camera for {seconds:g} s; its process was ended")
            data = os.read(self._child.stdout.fileno(), 65536)
            if not data:
                raise SourceError(self._end_reason())
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SourceError(answer["error"])
        return answer

    def _end_reason(self) -> str:
        self._end(_CLOSE_SECONDS)
        code = self._child.returncode
        reason = f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
        return f"{self._name}: the process that reads the camera ended {reason}; its own messages are above"

    def _end(self, seconds: float) -> None:
        """Close everything, and kill the child unless it ends in time."""
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1
        if self._frame is not None:  # It has a descriptor of its own, and the memory of a frame.
            self._frame.close()
            self._frame = None


def serve(memory: int) -> None:
    """Serve a :class:`ProcessReader`: open the device and write each frame that is wanted into ``memory``."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # What a library prints is not an answer.
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests,), daemon=True).start()

    def answer(**values: Any) -> None:
        with contextlib.suppress(OSError):  # The parent has ended.
            answers.write(json.dumps(values).encode() + b"\n")

    try:
        reader: FrameReader = pickle.loads(bytes.fromhex(requests.get().decode()))()
        try:
            answer(fps=reader.fps)
            shared = None
            while requests.get():
                arrays = _arrays_of(reader.read())
                size = sum(array.nbytes for array in arrays)
                if arrays and (shared is None or len(shared) < size):
                    os.ftruncate(memory, size)
                    shared = mmap.mmap(memory, size)
                start = 0
                for array in arrays:
                    assert shared is not None
                    np.frombuffer(shared, np.uint8, array.size, start).reshape(array.shape)[:] = array
                    start += array.nbytes
                answer(shapes=[array.shape for array in arrays])
        finally:
            reader.close()
    except EdgeSSDError as error:
        answer(error=str(error))
    except Exception as error:
        answer(error=f"reading the camera failed: {type(error).__name__}: {error}")


def _arrays_of(captured: Image | DeferredImage | None) -> list[Image]:
    """Return the image and, if they are smaller, the pixels for the detector; nothing at the end."""
    if isinstance(captured, DeferredImage):
        image, pixels = captured.image, captured.pixels
        return [image] if pixels.shape == image.shape else [image, pixels]
    return [] if captured is None else [captured]


def _receive(requests: queue.SimpleQueue[bytes]) -> None:
    """Pass on the lines of standard input; b"" is its end, after which this process ends in time."""
    for line in sys.stdin.buffer:
        requests.put(line)
    requests.put(b"")
    time.sleep(_ORPHAN_SECONDS)
    os._exit(0)
