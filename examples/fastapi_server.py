"""Detection over HTTP with FastAPI. MODEL is "nano" or the environment variable of that name:

pip install "edge-ssd[device]" fastapi uvicorn
MODEL=banana.tflite uvicorn fastapi_server:app
curl --data-binary @image.jpg http://127.0.0.1:8000/detect
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from edge_ssd import Detector, ImageError

MAX_BYTES = 20_000_000


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    # Here, not when the module is imported: each worker process (uvicorn --workers) then has a detector of its own.
    with Detector(os.environ.get("MODEL", "nano")) as detector:
        app.state.detector = detector
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/detect")
async def detect(request: Request) -> dict[str, Any]:
    """Detect objects in the image file that is the body of the request."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > MAX_BYTES:
            raise HTTPException(413, f"an image may have at most {MAX_BYTES} bytes")
    try:
        # In a thread: the event loop answers other requests meanwhile.
        detections = await run_in_threadpool(request.app.state.detector.detect, data)
    except ImageError as error:
        raise HTTPException(422, str(error)) from None
    return detections.to_dict()
