"""Detectors in processes that are forked: the parent's is refused at once, a new one works.

Each case runs in a process of its own: a hang is ended, and no test of this process is forked.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system"),
    pytest.mark.machine_independent,
]

_START = """
import os, sys, threading, time, warnings
warnings.simplefilter("ignore")
import numpy as np
from edge_ssd import BackendError, Detector
threads, busy = int(sys.argv[1]), sys.argv[2] == "busy"
frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
detector = Detector("banana-nano", num_threads=threads)
for _ in range(12):  # OpenCV is loaded after ten, if it is installed
    detector.detect(frame)
running = True
def detect():
    while running:
        detector.detect(frame)
thread = threading.Thread(target=detect)
if busy:
    thread.start()
    time.sleep(0.1)
"""
_END = """
def run(children):
    for _ in range(children):
        process = os.fork()
        if process == 0:
            child()
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(process, 0)
run(5 if busy else 1)
running = False
if busy:
    thread.join()
assert len(detector.detect(frame)) >= 0  # the parent's own still works
print("done")
"""


def run(child: str, threads: int, busy: bool) -> list[str]:
    """Run the body of ``child()`` in five forked processes beside a detecting thread, else in one; return the lines."""
    script = _START + f"def child():\n{child}\n" + _END
    command = [sys.executable, "-c", script, str(threads), "busy" if busy else "idle"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_detector_of_parent_is_refused_at_once(threads: int, busy: bool) -> None:
    child = """
    start = time.perf_counter()
    for call in (lambda: detector.detect(frame), detector.selftest, lambda: detector.configure(iou_threshold=0.3)):
        try:
            call()
        except BackendError as error:
            assert f"made in process {os.getppid()} and cannot be used in process {os.getpid()}" in str(error), error
            assert "make a detector in each process" in str(error)
        else:
            print("not refused")
    detector.close()
    print("refused" if time.perf_counter() - start < 5 else "refused late")
"""
    lines = run(child, threads, busy)
    assert lines == ["refused"] * (5 if busy else 1) + ["done"]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_new_detector_works_in_forked_process(threads: int, busy: bool) -> None:
    child = """
    with Detector("banana-nano", num_threads=threads) as own:
        own.detect(frame)
        print("passed" if own.selftest().passed else "failed")
"""
    assert run(child, threads, busy) == ["passed"] * (5 if busy else 1) + ["done"]


@pytest.mark.parametrize("threads", [1, 2])
def test_forked_process_ends_normally(threads: int) -> None:
    """Python frees everything at its end, also the parent's interpreter, whose threads do not exist there."""
    script = _START + "process = os.fork()\nif process == 0:\n    sys.exit(7)\n"
    script += "print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))"
    command = [sys.executable, "-c", script, str(threads), "idle"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stdout) == (0, "7\n"), done.stderr


def test_pool_of_processes_with_a_detector_each(tmp_path: Path) -> None:
    script = """
import multiprocessing
import numpy as np
from edge_ssd import Detector

def start(model):
    global detector
    detector = Detector(model, num_threads=1)

def count(image):
    return len(detector.detect(image))

if __name__ == "__main__":
    images = [np.zeros((64, 64, 3), np.uint8)] * 6
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2, start, ("banana-nano",)) as pool:
            print(pool.map(count, images))
"""
    path = tmp_path / "pool.py"  # "spawn" imports it again
    path.write_text(script)
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout == "[0, 0, 0, 0, 0, 0]\n" * 2, done.stderr
