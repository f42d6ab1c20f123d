"""Processor time for a frame of an MJPEG stream, read with OpenCV and with the project's reader.

    python tests/benchmarks/mjpeg_stream.py [WIDTH HEIGHT]     (default: 1920 1080)

Both read the same server, in turns, up to the network's input. The server is a process of its own, and sends 30 images
a second: of images that wait, the project's reader decodes only the newest.
"""

from __future__ import annotations

import itertools
import multiprocessing
import statistics
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from http_cameras import http_camera

from device_apps.sources.frames import FrameReader
from device_apps.sources.http_camera import open_http
from device_apps.sources.opencv import load_opencv, open_stream
from device_apps.sources.timeouts import CaptureTimeouts
from edge_ssd.network import InputSpec
from edge_ssd.runtime.preprocess import preprocess

CLIP = Path(__file__).resolve().parents[2] / "device_apps" / "clips" / "bananas.mp4"
SPEC = InputSpec(256, 256, resampling="halve-bilinear")
ROUNDS, FRAMES = 5, 40


def serve(size: tuple[int, int], pipe: Connection) -> None:
    """Serve the frames of a clip, enlarged, until the parent closes the pipe."""
    cv2 = load_opencv()
    capture, parts = cv2.VideoCapture(str(CLIP)), []
    while len(parts) < 20 and (read := capture.read())[0]:
        jpeg = cv2.imencode(".jpg", cv2.resize(read[1], size, interpolation=cv2.INTER_CUBIC), [1, 85])[1].tobytes()
        parts.append(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(jpeg), jpeg))
    kind = "multipart/x-mixed-replace; boundary=frame"

    def images() -> Iterator[bytes]:
        for part in itertools.cycle(parts):
            yield part
            time.sleep(1 / 30)

    with http_camera(lambda request: request.stream(kind, images())) as server:
        pipe.send((server.url, sum(map(len, parts)) / len(parts)))
        pipe.poll(None)


def milliseconds(reader: FrameReader) -> float:
    """Return the processor time per frame, of all threads."""
    for _ in range(5):
        reader.read()
    start = time.process_time()
    for _ in range(FRAMES):
        captured = reader.read()
        assert captured is not None
        pixels = getattr(captured, "pixels", captured)
        preprocess(pixels, SPEC, image_size=getattr(captured, "size", None))
    spent = time.process_time() - start
    reader.close()
    return 1e3 * spent / FRAMES


def main() -> None:
    size = (int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) > 2 else (1920, 1080)
    parent, child = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(size, child), daemon=True)
    process.start()
    url, length = parent.recv()
    timeouts = CaptureTimeouts(stall=10.0)
    pairs = [
        (milliseconds(open_stream(url, timeouts)), milliseconds(open_http(url, timeouts, input_spec=SPEC)))
        for _ in range(ROUNDS)
    ]
    parent.send(None)
    process.join(5)
    opencv, own = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"{size[0]}×{size[1]}, {length / 1e3:.0f} kB: OpenCV {opencv:.2f} ms, own reader {own:.2f} ms, ", end="")
    print(f"ratio {statistics.median(after / before for before, after in pairs):.2f}")


if __name__ == "__main__":
    main()
