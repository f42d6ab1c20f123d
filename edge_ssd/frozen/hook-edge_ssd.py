"""What PyInstaller adds to a program that imports ``edge_ssd``: the shipped models and the interpreter's libraries."""

import importlib.util

from PyInstaller.utils.hooks import collect_data_files, collect_dynamic_libs

datas = collect_data_files("edge_ssd.models")
# Imported by name when a detector is made, so the analysis does not see them.
hiddenimports = [
    f"edge_ssd.runtime.{name}"
    for name in ("bundle", "delegate", "detector", "image_input", "interpreter", "resize_opencv", "shipped_models")
]
binaries = []
for package in ("ai_edge_litert", "tflite_runtime"):
    if importlib.util.find_spec(package) is not None:
        hiddenimports.append(f"{package}.interpreter")
        binaries += collect_dynamic_libs(package)
# Never needed by the runtime, and large.
excludedimports = ["tensorflow", "keras", "matplotlib"]
