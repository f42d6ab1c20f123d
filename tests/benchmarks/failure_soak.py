"""Cameras that fail for an hour: python tests/benchmarks/failure_soak.py [minutes] [--json FILE] [--cameras NAME …]

Four ``edge-ssd camera`` run at once, each in its own process with the shipped detector: an RTSP stream, an MJPEG
stream, a URL that gives one image per request, and a CSI camera (a stand-in for picamera2). Each camera fails every 20
seconds on average, in one of its ways (see ``soak_cameras.py``), for up to five seconds; and so does the way to the
MQTT broker (killed, connections cut, nothing passed on). Then the commands are ended in every documented way.

Checked, with exit status 1 if one fails:

- No event is lost: every line of the event files arrives at the broker, and nothing else does; each object that
  entered left; and in every phase of the scene without a failure exactly its three objects enter and leave.
- Every recovery takes at most 5 s, from the end of a failure to the next frame, or to the next connection to the
  broker.
- The memory of each process grows by at most 1 MB per hour after the first quarter (if it lasts 30 minutes or more),
  and in one step by at most 1 MB; threads and descriptors do not grow.
- Exit statuses are those of the documentation, and nothing prints a traceback.

Memory is what a process has for itself (RssAnon and RssShmem of proc(5)), and apart from it what its child processes
have. Pages of libraries are shown only: the system drops them and reads them again, some megabytes in an hour.
``--cameras csi`` runs one camera only, where the machine has other work.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from soak_cameras import PHASE_S, Camera, CsiCamera, ServerCamera, SnapshotServer, phase_at
from tcp_relay import TcpRelay

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mqtt_broker import Mosquitto, Observer
from stream_servers import MjpegServer, RtspServer

FloatArray = npt.NDArray[np.floating[Any]]

REPOSITORY = Path(__file__).resolve().parents[2]
MEAN_S, LONGEST_S = 20.0, 5.0  # Between two failures of a camera, and of a failure.
LIMIT_S = 5.0
MB_PER_HOUR = MAX_STEP_MB = 1.0
OBJECTS = 3
_NAMES = ("rtsp", "mjpeg", "snapshot", "csi")
_SETTLE_S = 0.4  # Frames that were under way when a connection was cut have arrived.
_LATE_S = 4.5  # Of an event: --leave-after, and a busy machine.


@dataclass
class Incident:
    """One failure: when it began and ended, and when it was over for the camera (``time.monotonic()``)."""

    camera: str
    kind: str
    began: float
    ended: float
    recovered: float = float("inf")

    @property
    def seconds(self) -> float:
        return self.recovered - self.ended


@dataclass
class Findings:
    """What was seen; ``problems`` is empty if everything was as it should be."""

    incidents: list[Incident] = field(default_factory=list)
    samples: dict[str, list[tuple[float, Sample]]] = field(default_factory=lambda: defaultdict(list))
    loads: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)


class Sample(NamedTuple):
    """Figures of a process: megabytes of its own, of files that it maps, and of its largest child; counts."""

    mb: float
    file_mb: float
    threads: int
    descriptors: int
    child_mb: float


def read_memory(pid: int) -> tuple[float, float, int]:
    """Return the megabytes that a process has for itself, those of files that it maps, and its number of threads."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    anonymous, file, shared = (int(status[name].split()[0]) / 1e3 for name in ("RssAnon", "RssFile", "RssShmem"))
    return anonymous + shared, file, int(status["Threads"])


class CameraProcess:
    """``edge-ssd camera`` on a camera, with its frames, events and samples of its memory."""

    def __init__(self, camera: Camera, folder: Path, broker_port: int, *options: str) -> None:
        self.camera = camera
        self.events = folder / f"{camera.name}.jsonl"
        self.log = folder / f"{camera.name}.log"
        self._command = [
            sys.executable, "-m", "edge_ssd", "camera", *camera.options, "--headless", "--threads", "1", "--jsonl", "-",
            "--events", str(self.events), "--events-max-mb", "100",
            "--mqtt", f"mqtt://127.0.0.1:{broker_port}/soak/{camera.name}",
            "--mqtt-spool", str(folder / f"{camera.name}.sqlite"),
            "--mqtt-discovery", "none", *options,
        ]  # fmt: skip
        self.frame_at = 0.0
        self.frame_times: list[float] = []
        self.out_of_order = 0
        self.process: subprocess.Popen[str] | None = None
        self._children: set[int] = set()
        self._sampled_at = 0.0

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **self.camera.environment}
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                self._command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
            )
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        last = -1
        for line in process.stdout:
            sequence = json.loads(line)["sequence"]
            self.out_of_order += sequence <= last
            last = sequence
            self.frame_at = time.monotonic()
            self.frame_times.append(self.frame_at)

    def wait_for_frame(self, after: float, seconds: float) -> float:
        """Return when the first frame after ``after`` arrived; infinite if there is none for ``seconds``."""
        end = after + seconds
        while time.monotonic() < end:
            if self.frame_at > after:
                return self.frame_at
            time.sleep(0.01)
        return float("inf")

    def end(self, number: int) -> tuple[int, float]:
        """Send a signal; return the exit status and the seconds that it took."""
        assert self.process is not None
        start = time.monotonic()
        self.process.send_signal(number)
        status = self.process.wait(60)
        return status, time.monotonic() - start

    def sample(self) -> Sample | None:
        """Return figures of the process, or None if it has ended."""
        assert self.process is not None
        folder = Path(f"/proc/{self.process.pid}")
        try:
            own, file_mb, threads = read_memory(self.process.pid)
            descriptors = len(list((folder / "fd").iterdir()))
            children = {int(pid) for file in folder.glob("task/*/children") for pid in file.read_text().split()}
        except (OSError, KeyError):
            return None
        child_mb = 0.0
        # A child that was there at the last sample and has given a frame since then has loaded its libraries.
        if self.frame_at > self._sampled_at:
            for pid in children & self._children:
                with contextlib.suppress(OSError, KeyError):
                    child_mb = max(child_mb, read_memory(pid)[0])
        self._children, self._sampled_at = children, time.monotonic()
        return Sample(own, file_mb, threads, descriptors, child_mb)

    def event_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.events.read_text().splitlines()] if self.events.exists() else []


class Broker:
    """A real broker behind a relay, and the ids of all events that its subscriber received."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._mosquitto = stack.enter_context(Mosquitto(folder))
        self.relay = stack.enter_context(TcpRelay(self._mosquitto.port))
        self._observer = Observer(self._mosquitto.port, "soak/+/events")
        self._earlier: list[str] = []

    def received(self) -> list[str]:
        return [*self._earlier, *(json.loads(payload)["id"] for _, payload, _ in list(self._observer.messages))]

    @contextmanager
    def killed(self) -> Iterator[None]:
        """Kill the broker; when it is back its subscriber comes first, since a broker keeps nothing for others."""
        with self.relay.away():
            time.sleep(0.2)
            self._mosquitto.kill()
            self._observer.disconnected.wait(30)
            with self._observer:
                self._earlier = self.received()
                self._observer.messages.clear()
            yield
            self._mosquitto.start()
            self._observer = Observer(self._mosquitto.port, "soak/+/events")


def pause_s() -> float:
    """Return the seconds until the next failure; with what a failure takes it is ``MEAN_S`` on average."""
    return 3.0 + random.expovariate(1 / (MEAN_S - 3.0 - LONGEST_S / 2 - 1.5))


def fail_camera(running: CameraProcess, stop: threading.Event, incidents: list[Incident]) -> None:
    """Fail the camera again and again, each kind as often as the others."""
    camera = running.camera
    kinds: list[str] = []
    while not stop.wait(pause_s()):
        if not kinds:
            kinds = random.sample(sorted(camera.failures), len(camera.failures))
        kind = kinds.pop()
        began = time.monotonic()
        with camera.failures[kind]():
            time.sleep(0.0 if kind in camera.instant else random.uniform(0.5, LONGEST_S))
        incident = Incident(camera.name, kind, began, time.monotonic())
        incident.recovered = running.wait_for_frame(incident.ended + _SETTLE_S, 60.0)
        incidents.append(incident)
        print(f"{camera.name:9} {kind:24} {incident.seconds:6.2f} s", flush=True)


def fail_broker(broker: Broker, clients: int, stop: threading.Event, incidents: list[Incident]) -> None:
    """Fail the broker again and again."""
    kinds: list[str] = []
    while not stop.wait(pause_s()):
        kinds = kinds or random.sample(["killed", "connections cut", "nothing passed on"], 3)
        kind = kinds.pop()
        began = time.monotonic()
        if kind == "nothing passed on":
            with broker.relay.held():
                time.sleep(random.uniform(0.5, LONGEST_S))
            incidents.append(Incident("broker", kind, began, time.monotonic(), time.monotonic()))
            continue
        if kind == "killed":
            with broker.killed():
                time.sleep(random.uniform(0.0, LONGEST_S))
        else:
            broker.relay.cut()
        incident = Incident("broker", kind, began, time.monotonic())
        end = incident.ended + 60.0
        while len(connections := broker.relay.connections_since(began)) < clients and time.monotonic() < end:
            time.sleep(0.02)
        incident.recovered = max(connections) if len(connections) >= clients else float("inf")
        incidents.append(incident)
        print(f"broker    {kind:24} {incident.seconds:6.2f} s", flush=True)


def soak(running: list[CameraProcess], broker: Broker, minutes: float, found: Findings) -> None:
    """Run for some minutes with failures."""
    stop = threading.Event()
    threads = [threading.Thread(target=fail_camera, args=(each, stop, found.incidents)) for each in running]
    threads.append(threading.Thread(target=fail_broker, args=(broker, len(running), stop, found.incidents)))
    start = time.monotonic()
    for thread in threads:
        thread.start()
    while (seconds := time.monotonic() - start) < 60 * minutes:
        for each in running:
            if (sample := each.sample()) is not None:
                found.samples[each.camera.name].append((seconds, sample))
        found.loads.append(os.getloadavg()[0])
        time.sleep(2.0)
    stop.set()
    for thread in threads:
        thread.join()


def check_events(running: list[CameraProcess], broker: Broker, began: float, ended: float, found: Findings) -> None:
    """Compare the files of the events with what arrived at the broker, and with the scene."""
    lines = {each.camera.name: each.event_lines() for each in running}
    written = {line["id"] for rows in lines.values() for line in rows}
    end = time.monotonic() + 30
    while not written <= set(broker.received()) and time.monotonic() < end:
        time.sleep(0.1)
    received = broker.received()
    found.figures.update(events=len(written), received_twice=len(received) - len(set(received)))
    if lost := written - set(received):
        found.problems.append(f"{len(lost)} of {len(written)} events did not arrive at the broker: {sorted(lost)[:3]}")
    if unknown := set(received) - written:
        found.problems.append(f"{len(unknown)} events arrived that are in no file: {sorted(unknown)[:3]}")
    for name, rows in lines.items():
        objects: dict[int, list[str]] = defaultdict(list)
        for row in rows:
            objects[row["object_id"]].append(row["kind"])
        if odd := [number for number, kinds in objects.items() if kinds != ["enter", "leave"]]:
            found.problems.append(f"{name}: {len(odd)} objects did not enter and leave once: {odd[:5]}")
    found.figures["undisturbed_phases"] = sum(check_phases(each, lines, began, ended, found) for each in running)


def check_phases(
    each: CameraProcess, lines: dict[str, list[dict[str, Any]]], began: float, ended: float, found: Findings
) -> int:
    """Check the events of the phases without a failure of this camera; return the number of phases."""
    offset = time.time() - time.monotonic()
    times = {
        kind: [
            datetime.fromisoformat(row["time"]).timestamp() - offset
            for row in lines[each.camera.name]
            if row["kind"] == kind
        ]
        for kind in ("enter", "leave")
    }
    disturbed = [(one.began, one.recovered) for one in found.incidents if one.camera == each.camera.name]
    phases = 0
    for phase in range(phase_at(began) + 1, phase_at(ended) - 1):
        start, end = phase * PHASE_S, (phase + 1) * PHASE_S
        if phase % 2 or any(a < end + _LATE_S and b > start - 1.0 for a, b in disturbed):
            continue
        phases += 1
        entered = sum(start <= at < start + _LATE_S for at in times["enter"])
        left = sum(end <= at < end + _LATE_S for at in times["leave"])
        if (entered, left) != (OBJECTS, OBJECTS):
            seconds = {
                kind: [round(at - start, 1) for at in times[kind] if start <= at < end + PHASE_S] for kind in times
            }
            frames = [at - start for at in each.frame_times if start <= at < end + PHASE_S]
            found.problems.append(
                f"{each.camera.name}: phase {phase}: {entered} entered and {left} left of {OBJECTS}: {seconds} s after "
                f"its begin; {len(frames)} frames there, up to {max(np.diff(frames), default=0.0):.1f} s apart"
            )
    return phases


def fit_growth(hours: FloatArray, mb: FloatArray) -> tuple[float, float]:
    """Return the slope in MB per hour and the step in MB of the line with at most one step that fits best.

    A heap that is extended once is a step: a line alone would be as steep as a leak. A leak has no step.
    """
    margin, stride = len(hours) // 20, max(1, len(hours) // 50)

    def fit(index: int) -> tuple[float, FloatArray]:
        columns = np.stack([np.ones_like(hours), hours, hours >= hours[index]], axis=1)
        coefficients, residuals, *_ = np.linalg.lstsq(columns, mb, rcond=None)
        return float(residuals.sum()), coefficients

    near = min(range(margin, len(hours) - margin, stride), key=lambda index: fit(index)[0])
    best = min(range(max(margin, near - stride), near + stride), key=lambda index: fit(index)[0])
    _, slope, step = fit(best)[1]
    return float(slope), float(step)


def check_memory(minutes: float, found: Findings) -> None:
    """Fit a line with at most one step to the memory of each process, and of its children, after the first quarter."""
    for name, rows in found.samples.items():
        later = [row for row in rows if row[0] >= 15 * minutes]
        hours, samples = np.array([row[0] for row in later]) / 3600, np.array([row[1] for row in later])
        third = max(1, len(samples) // 3)
        first, last = (Sample(*np.median(part, axis=0)) for part in (samples[:third], samples[-third:]))
        figures = found.figures[f"memory_{name}"] = {
            "threads": [int(first.threads), int(last.threads)],
            "descriptors": [int(first.descriptors), int(last.descriptors)],
        }
        for column, what in enumerate(Sample._fields):
            if not what.endswith("mb") or not samples[:, column].any():
                continue
            chosen = samples[:, column] > 0  # There is not always a child.
            at, mb = hours[chosen], samples[chosen, column]
            slope, step = fit_growth(at, mb)
            figures[what] = {
                "median": round(float(np.median(mb)), 1),
                "per_hour": round(slope, 2),
                "step": round(step, 2),
                "per_hour_without_step": round(float(np.polyfit(at, mb, 1)[0]), 2),
                "by_twelfths": [round(float(np.median(part)), 1) for part in np.array_split(mb, 12)],
            }
            if minutes < 30 or what == "file_mb":
                continue
            if slope > MB_PER_HOUR or step > MAX_STEP_MB:
                found.problems.append(f"{name}: {what} grows by {slope:.2f} MB per hour, and by {step:.2f} in a step")
        for what in ("threads", "descriptors"):
            if minutes >= 30 and getattr(last, what) > getattr(first, what):
                found.problems.append(f"{name}: {what} grew from {getattr(first, what):g} to {getattr(last, what):g}")


def check_recoveries(found: Findings) -> None:
    table: dict[str, list[float]] = defaultdict(list)
    for incident in found.incidents:
        table[f"{incident.camera}: {incident.kind}"].append(incident.seconds)
        if incident.seconds > LIMIT_S:
            found.problems.append(f"{incident.camera}: {incident.kind}: {incident.seconds:.2f} s to recover")
    found.figures["failures"] = len(found.incidents)
    found.figures["recovery_s"] = {
        name: {"times": len(times), "median": round(median(times), 2), "worst": round(max(times), 2)}
        for name, times in sorted(table.items())
    }


def check_ends(cameras: list[Camera], broker: Broker, folder: Path, found: Findings) -> None:
    """End a command in every documented way, and check the exit status."""
    statuses: dict[str, list[int]] = defaultdict(list)

    def expect(what: str, camera: Camera, status: int, expected: int) -> None:
        statuses[f"{what}: {expected}"].append(status)
        if status != expected:
            found.problems.append(f"{camera.name}: {what}: exit status {status}, not {expected}")

    for camera in cameras:
        folder_of = folder / f"ends-{camera.name}"
        folder_of.mkdir()
        permanent = "cannot be opened" if camera.name == "csi" else "server killed"

        def launch(*options: str) -> CameraProcess:
            running = CameraProcess(camera, folder_of, broker.relay.port, *options)  # noqa: B023
            running.start()
            return running

        running = launch("--duration", "3")
        expect("--duration", camera, running.process.wait(60), 0)  # type: ignore[union-attr]
        running = launch()
        running.wait_for_frame(time.monotonic(), 30)
        expect("SIGINT", camera, running.end(signal.SIGINT)[0], 0)
        running = launch("--retries", "2")
        running.wait_for_frame(time.monotonic(), 30)
        with camera.failures[permanent]():
            expect("camera lost for good, --retries 2", camera, running.process.wait(120), 2)  # type: ignore[union-attr]
            running = launch()
            expect("no camera at the start", camera, running.process.wait(120), 2)  # type: ignore[union-attr]
        with broker.relay.away():  # Killed with events in the spool: the next start sends them.
            running = launch("--enter-after", "1f")
            running.wait_for_frame(time.monotonic(), 30)
            end = time.monotonic() + 60
            before = len(running.event_lines())
            while len(running.event_lines()) < before + OBJECTS and time.monotonic() < end:
                time.sleep(0.05)
            expect("SIGKILL", camera, running.end(signal.SIGKILL)[0], -signal.SIGKILL)
        running = launch("--duration", "6")
        expect("--duration after SIGKILL", camera, running.process.wait(60), 0)  # type: ignore[union-attr]
        written = {line["id"] for line in running.event_lines()}
        if not written <= set(broker.received()):
            found.problems.append(f"{camera.name}: events of a killed process were not sent by the next one")
        if "Traceback" in running.log.read_text():
            found.problems.append(f"{camera.name}: a traceback in its messages")
    found.figures["exit_statuses"] = {name: len(values) for name, values in statuses.items()}


def open_camera(name: str, folder: Path, stack: ExitStack) -> Camera:
    if name == "csi":
        return CsiCamera(folder / "csi-stand-in")
    servers = {"rtsp": RtspServer, "mjpeg": MjpegServer, "snapshot": SnapshotServer}
    return ServerCamera(servers[name], name, stack, *(("--fps", "5") if name == "snapshot" else ()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("minutes", type=float, nargs="?", default=60.0)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    parser.add_argument("--cameras", nargs="+", metavar="NAME", choices=_NAMES, default=_NAMES)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    random.seed(args.seed)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # cameras inherit that it is ignored, as under nohup
    found = Findings()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        broker = Broker(folder, stack)
        cameras = [open_camera(camera, folder, stack) for camera in args.cameras]
        running = [CameraProcess(camera, folder, broker.relay.port) for camera in cameras]
        try:
            for each in running:
                each.start()
            for each in running:
                if each.wait_for_frame(0.0, 60.0 + time.monotonic()) == float("inf"):
                    raise SystemExit(f"{each.camera.name} gives no frame: {each.log.read_text()}")
            began = time.monotonic()
            soak(running, broker, args.minutes, found)
            ended = time.monotonic()
            for each in running:
                status, seconds = each.end(signal.SIGTERM)
                found.figures[f"SIGTERM_{each.camera.name}"] = {"status": status, "seconds": round(seconds, 2)}
                if status != 0 or each.out_of_order:
                    found.problems.append(
                        f"{each.camera.name}: exit status {status}, {each.out_of_order} frames out of order"
                    )
                if "Traceback" in each.log.read_text():
                    found.problems.append(f"{each.camera.name}: a traceback in its messages")
            check_events(running, broker, began, ended, found)
            check_recoveries(found)
            check_memory(args.minutes, found)
            check_ends(cameras, broker, folder, found)
        finally:
            for each in running:
                if each.process is not None and each.process.poll() is None:
                    each.process.kill()
        found.figures.update(
            minutes=round((ended - began) / 60, 1),
            frames={each.camera.name: len(each.frame_times) for each in running},
            load=[round(load, 1) for load in np.quantile(found.loads, (0.0, 0.5, 1.0))], problems=found.problems,
        )  # fmt: skip
        text = json.dumps(found.figures, indent=1)
        print(text)
        if args.json is not None:
            args.json.write_text(text)
            for each in running:
                args.json.with_suffix(f".{each.camera.name}.log").write_text(each.log.read_text())
    return 1 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
