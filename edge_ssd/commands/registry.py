"""The table of commands: the module of each is imported when it is called."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COMMANDS", "Command"]


class Command(NamedTuple):
    """Subcommand: the name of its module, which is imported when it runs, and its line in the help."""

    module: str
    help: str


COMMANDS: dict[str, Command] = {
    "data": Command("edge_ssd.commands.data", "fetch, make, inspect, convert, divide or merge a dataset"),
    "train": Command("edge_ssd.commands.train", "train a TinySSD on labeled images"),
    "evaluate": Command("edge_ssd.commands.evaluate", "measure the average precision of a .keras or .tflite model"),
    "convert": Command("converters.convert_command", "quantize a .keras model into one self-describing .tflite"),
    "verify": Command("converters.verify_command", "compare a .tflite with the .keras model it was made from"),
    "compare": Command("converters.compare_command", "compare every quantization scheme of a model in one table"),
    "inspect": Command("converters.inspect_command", "show the contents of a .tflite"),
    "detect": Command("device_apps.detect_command", "find objects in an image, a folder or a video"),
    "camera": Command("device_apps.camera_command", "find objects in a live camera or stream"),
    "bench": Command("device_apps.bench_command", "time models on this machine, side by side"),
    "doctor": Command("device_apps.doctor_command", "check whether this machine is ready, and suggest fixes"),
    "service": Command("device_apps.service_command", "write a systemd unit that keeps a camera running"),
    "completion": Command("edge_ssd.commands.completion", "print a script that completes commands in a shell"),
}
