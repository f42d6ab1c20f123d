"""Damages small datasets of every label format and reads them: python tests/label_fuzz.py [datasets] [seed] [format …]

``datasets`` is the number for each format. Prints one line of JSON for each. A dataset must load, or be refused with a
DataError of one line, within limits of time and memory; every fiftieth is inspected with ``edge-ssd data inspect``.
What fails is kept, and named with its traceback.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from types import FrameType

import numpy as np
from fuzzing import damaged_copy, peak_megabytes
from label_writers import WRITERS, LabeledImage

from edge_ssd.cli import main as edge_ssd
from edge_ssd.data.load import open_dataset
from edge_ssd.errors import DataError

_MAX_SECONDS, _MAX_MEGABYTES, _HANGS_S = 1.0, 50.0, 20
_INSPECTED = 50
_MAX_FAILURES = 20

_OBJECTS = [("fork", (1.0, 2.0, 30.0, 20.0)), ("knife", (3.0, 4.5, 31.0, 22.5))]
_IMAGES = [
    LabeledImage("a.png", "train", objects=_OBJECTS),
    LabeledImage("b.png", "train", objects=_OBJECTS[:1]),
    LabeledImage("c é.png", "val", objects=_OBJECTS),
]
_NUMBERS = [
    b"0",
    b"-1",
    b"1e308",
    b"1e999",
    b"-1e999",
    b"NaN",
    b"9" * 400,
    b"9" * 5000,
    b"1" + b"0" * 18,
    b"0.5",
    b"1e-320",
]
_NUMBERS += ["١٢".encode(), b"1_0", b"0x1F", b"1,5", b"-0", b"2147483648", b"18446744073709551616", b"true", b"null"]
_WORDS = [
    b"",
    b"../../../etc/passwd",
    b"n" * 5000,
    b"\0",
    b"\\ud800",
    b"\\u0000",
    b"\x1b[31m",
    b"[]",
    b"{}",
    b'""',
    b"&x;",
]
_WORDS += [
    b"/",
    b".",
    b"..",
    b"%00",
    b"?" * 300,
    "é".encode("latin-1"),
    "\u202e".encode(),
    b"<a>",
    b"*x",
    b"- ",
    b"#",
    b"data",
]
_NESTING = [b"[", b"{", b'{"a":', b"<a>", b"(", b"- ", b"a: ", b'"', b"\\", b"../", b"item {"]
_OTHER_FILES = ["data.yaml", "classes.txt", "train.txt", "val_list.txt", "split.csv", "splits.json", "label_map.pbtxt"]
_OTHER_FILES += [
    "labels.txt",
    "obj.names",
    "notes.json",
    "z.xml",
    "a.txt",
    "Annotations/a.xml",
    "labels/a.txt",
    "_classes.csv",
]
_LABEL_SUFFIXES = (".json", ".xml", ".csv", ".txt", ".yaml", ".names", ".record", ".tfrecord", ".pbtxt")


def write_base(root: Path, name: str) -> dict[Path, bytes]:
    """Write a dataset in a format; return the content of its files."""
    WRITERS[name](root, _IMAGES, ("fork", "knife"))
    return {path: path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def damaged_text(random: np.random.Generator, data: bytes) -> bytes:
    """Return a text with a number, a word, a line or a part of it changed."""
    kind = int(random.integers(0, 8))
    pattern = rb"-?\d+(\.\d+)?" if kind < 2 else rb"[A-Za-z_/.]{2,}" if kind < 4 else None
    if pattern is not None:
        found = [match.span() for match in re.finditer(pattern, data)]
        if not found:
            return data
        start, end = found[random.integers(0, len(found))]
        words = _NUMBERS if kind < 2 else _WORDS
        return data[:start] + words[random.integers(0, len(words))] + data[end:]
    start, end = sorted(int(place) for place in random.integers(0, len(data) + 1, 2))
    end = min(end, start + int(random.integers(1, 60)))
    if kind == 4:  # repeated
        return data[:start] + data[start:end] * int(random.integers(2, 2000)) + data[end:]
    if kind == 5:  # nested
        return data[:start] + _NESTING[random.integers(0, len(_NESTING))] * int(random.integers(1, 3000)) + data[start:]
    lines = data.splitlines(keepends=True)
    place = int(random.integers(0, len(lines))) if lines else 0
    if kind == 6:
        return b"".join([*lines[:place], *lines[place : place + 1] * int(random.integers(0, 4)), *lines[place + 1 :]])
    return data.decode("utf-8", "replace").encode(str(random.choice(["utf-16", "utf-16-le", "utf-8-sig", "utf-32"])))


def damage(random: np.random.Generator, files: dict[Path, bytes], root: Path) -> dict[Path, bytes]:
    """Return one or two changed or added files."""
    labels = [path for path in files if path.suffix in _LABEL_SUFFIXES]
    changed: dict[Path, bytes] = {}
    for _ in range(int(random.integers(1, 3))):
        path = (
            labels[random.integers(0, len(labels))]
            if random.integers(0, 12)
            else list(files)[random.integers(0, len(files))]
        )
        data = changed.get(path, files[path])
        is_text = path.suffix not in (".record", ".tfrecord", ".png")
        if data and (not is_text or random.integers(0, 3) == 0):
            data = damaged_copy(random, data)
        else:
            data = damaged_text(random, data)
        if random.integers(0, 10) == 0:  # the same beside it, as another file
            path = root / _OTHER_FILES[random.integers(0, len(_OTHER_FILES))]
        changed[path] = data
    return changed


def read(root: Path, inspect: bool) -> bool:
    """Read a dataset; return whether it was refused."""
    if inspect:
        with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.redirect_stderr(output):
            status = edge_ssd(["data", "inspect", str(root)])
        assert status in (0, 1, 2), status
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", output.getvalue()), output.getvalue()
    try:
        open_dataset(root).load()
    except DataError as error:
        message = str(error)
    else:
        return False
    assert len(message) < 20_000
    return True


def _stop(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"over {_HANGS_S} s")


def fuzz(name: str, count: int, seed: int, kept: Path) -> int:
    """Read damaged datasets of a format; return the number of different failures."""
    random = np.random.default_rng([seed, *name.encode()])
    failures: dict[str, Path] = {}
    refused, slowest = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, name)
        files = write_base(root, name)
        os.environ["XDG_CACHE_HOME"] = str(Path(folder, "cache"))
        for inspect in (False, True):
            read(root, inspect)
        before = peak_megabytes()
        for number in range(count):
            changed = damage(random, files, root)
            for path, data in changed.items():
                path.parent.mkdir(exist_ok=True, parents=True)
                path.write_bytes(data)
            start = time.process_time()
            signal.alarm(_HANGS_S)
            try:
                refused += read(root, inspect=number % _INSPECTED == 0)
                seconds = time.process_time() - start
                assert seconds < _MAX_SECONDS or number % _INSPECTED == 0, f"{seconds} s"
                assert peak_megabytes() - before < _MAX_MEGABYTES, f"{peak_megabytes() - before} MB"
            except BaseException as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                key = f"{type(error).__name__} {last.filename}:{last.lineno}"
                before = max(before, peak_megabytes())
                if key not in failures:
                    failures[key] = kept / f"{name}-{seed}-{number}"
                    shutil.copytree(root, failures[key], dirs_exist_ok=True)
                    traceback.print_exc()
                    print(f"kept: {failures[key]}", file=sys.stderr, flush=True)
                if isinstance(error, KeyboardInterrupt) or len(failures) > _MAX_FAILURES:
                    break
            finally:
                signal.alarm(0)
            slowest = max(slowest, 0.0 if number % _INSPECTED == 0 else time.process_time() - start)
            for path in changed:
                path.unlink()
                if path in files:
                    path.write_bytes(files[path])
            if number % 500 == 0:
                shutil.rmtree(Path(folder, "cache"), ignore_errors=True)
    result = {"format": name, "files": count, "refused": refused, "slowest_s": round(slowest, 3)}
    print(json.dumps(result | {"grown_mb": round(peak_megabytes() - before, 1), "failures": len(failures)}), flush=True)
    return len(failures)


def main(count: int = 10_000, seed: int = 0, *names: str) -> int:
    logging.getLogger().addHandler(logging.NullHandler())
    signal.signal(signal.SIGALRM, _stop)
    kept = Path(tempfile.gettempdir(), "label_fuzz")
    return int(sum(fuzz(name, count, seed, kept) for name in names or sorted(WRITERS)) > 0)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(main(*map(int, arguments[:2]), *arguments[2:]))
