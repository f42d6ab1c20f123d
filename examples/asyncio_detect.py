"""Detect objects in images without blocking an asyncio event loop: python asyncio_detect.py MODEL IMAGE..."""

import asyncio
import sys

from edge_ssd import Detector, EdgeSSDError, ImageError


async def describe(detector: Detector, image: str) -> str:
    # A detector is thread-safe and runs one image at a time: further threads wait for it, the event loop does not.
    try:
        detections = await asyncio.to_thread(detector.detect, image)
    except ImageError as error:
        return f"error: {error}"
    return f"{image}: {', '.join(detections.names) or 'nothing'}"


async def main(model: str, images: list[str]) -> None:
    # Loading takes some 50 ms, so it runs in a thread too.
    with await asyncio.to_thread(Detector, model) as detector:
        for line in asyncio.as_completed([describe(detector, image) for image in images]):
            print(await line)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        asyncio.run(main(sys.argv[1], sys.argv[2:]))
    except EdgeSSDError as error:  # of the model
        sys.exit(f"error: {error}")
