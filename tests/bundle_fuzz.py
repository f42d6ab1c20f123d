"""Damages bundles in many ways and reads them: python tests/bundle_fuzz.py [files] [seed]

Prints one line of JSON. A file must be refused with a BundleError that names it, or be read with its model, labels and
anchors unharmed; anything else ends the program with its traceback.
"""

from __future__ import annotations

import hashlib
import io
import json
import resource
import struct
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from bundle_factory import FLATBUFFER, entries, metadata, npy, selftest_arrays

from edge_ssd.errors import BundleError
from edge_ssd.network import tiny_ssd
from edge_ssd.runtime.bundle import read_bundle
from edge_ssd.runtime.selftest import delta_encode

NETWORK = tiny_ssd(["banana", "Gabel – groß"], input_size=(32, 32), sizes=[(0.3, 0.4)] * 3)
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)


def archive(content: dict[str, bytes], start: bytes = b"", method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO(start)
    with zipfile.ZipFile(buffer, "a", method) as file:
        for name, data in content.items():
            file.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, method)
    return buffer.getvalue()


def unpacked_selftest() -> dict[str, bytes]:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    arrays = {"image_differences": delta_encode(image), **selftest_arrays(NETWORK)}
    del arrays["image"]
    return {f"{name}.npy": npy(array) for name, array in arrays.items()}


PARTS = entries(NETWORK) | {"selftest.npz": archive(unpacked_selftest(), method=zipfile.ZIP_DEFLATED)}
WHOLE = archive(PARTS, FLATBUFFER)


def bytes_changed(random: np.random.Generator, data: bytes, low: int = 0) -> bytes:
    """A few bytes changed, or some lost, doubled, or moved."""
    changed = bytearray(data)
    kind = random.integers(0, 8)
    at = int(random.integers(low, max(low + 1, len(changed) - 1)))
    size = int(random.integers(1, 40))
    if kind == 0:
        del changed[at : at + size]
    elif kind == 1:
        changed[at:at] = changed[at : at + size]
    elif kind == 2:
        del changed[at:]
    else:
        for place in random.integers(low, len(changed), random.integers(1, 5)):
            changed[place] = random.choice(INTERESTING) if kind < 5 else random.integers(0, 256)
    return bytes(changed)


def anywhere(random: np.random.Generator) -> bytes:
    return bytes_changed(random, WHOLE)


def in_the_directory(random: np.random.Generator) -> bytes:
    return bytes_changed(random, WHOLE, WHOLE.rindex(b"PK\x01\x02") - 200)


def in_an_entry(random: np.random.Generator) -> bytes:
    """In a sound archive with the right digests, so that what reads the entry sees the damage."""
    parts = dict(PARTS)
    name = str(random.choice(list(parts)))
    parts[name] = bytes_changed(random, parts[name])
    if name == "anchors.npy":
        data = metadata(NETWORK)
        data["sha256"]["anchors"] = hashlib.sha256(parts[name]).hexdigest()
        parts["edge_ssd.json"] = json.dumps(data).encode()
    return archive(parts, FLATBUFFER)


def in_the_selftest(random: np.random.Generator) -> bytes:
    arrays = unpacked_selftest()
    name = str(random.choice(list(arrays)))
    if random.integers(0, 8) == 0:
        arrays[name] = bytes(int(random.integers(0, 2**21)))  # unpacks to a thousand times its size
    else:
        arrays[name] = bytes_changed(random, arrays[name])
    packed = bytearray(archive(arrays, method=zipfile.ZIP_DEFLATED))
    if random.integers(0, 2):  # its directory may lie about sizes
        at = packed.index(b"PK\x01\x02")
        struct.pack_into("<L", packed, at + int(random.choice([20, 24])), int(random.integers(0, 2**32)))
    return archive({**PARTS, "selftest.npz": bytes(packed)}, FLATBUFFER)


def in_the_description(random: np.random.Generator) -> bytes:
    """A number, a word or a bracket of the JSON put in another's place."""
    text = PARTS["edge_ssd.json"]
    words = [b"0", b"-1", b"1e308", b"1e999", b"9" * 400, b"null", b"[]", b"{}", b'""', b"true", b"NaN", b"[" * 2000]
    at, end = sorted(int(place) for place in random.integers(0, len(text), 2))
    end = min(end, at + int(random.integers(1, 12)))
    changed = text[:at] + words[random.integers(0, len(words))] + text[end:]
    return archive({**PARTS, "edge_ssd.json": changed}, FLATBUFFER)


KINDS = (anywhere, in_the_directory, in_an_entry, in_the_selftest, in_the_description)


def main(files: int = 10_000, seed: int = 0) -> None:
    random = np.random.default_rng(seed)
    refused, slowest = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "bundle.tflite")
        path.write_bytes(WHOLE)
        _ = read_bundle(path).selftest  # what is imported late is not the damage's doing
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for i in range(files):
            path.write_bytes(KINDS[i % len(KINDS)](random))
            start = time.process_time()
            try:
                bundle = read_bundle(path)
                _ = bundle.selftest
            except BundleError as error:
                line = str(error)
                if "\n" in line or not line.startswith(f"{path}: "):
                    raise
                refused += 1
            else:
                assert bundle.flatbuffer == FLATBUFFER
                assert bundle.labels == NETWORK.labels
                assert np.abs(bundle.anchors - NETWORK.anchors()).max() < 1e-5
            slowest = max(slowest, time.process_time() - start)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"files": files, "refused": refused, "slowest_s": slowest, "grown_mb": (after - before) / 1024}))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))
