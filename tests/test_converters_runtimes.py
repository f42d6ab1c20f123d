"""Every scheme's bundle in a real tflite-runtime 2.14 and in the newest ai-edge-litert; verdicts hold there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPOSITORY, skip_or_fail

from converters.convert import convert_model
from converters.quantization.quantize import SCHEMES
from converters.tflite.compatibility import problems, verdicts
from converters.tflite.operators import read_graph
from edge_ssd.runtime.bundle import read_bundle

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

OLD = REPOSITORY / ".venv-tflite" / "bin" / "python"

# Another layer out of int8 than the heads, and int16, which the old runtime refuses.
VARIANTS = [
    *((scheme, {}) for scheme in SCHEMES),
    ("mixed", {"keep": ("classes_0", "base_net/*"), "keep_type": "int16"}),
]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory, squares: Path, squares_model: Path) -> list[Path]:
    folder = tmp_path_factory.mktemp("bundles")
    paths = []
    for i, (scheme, settings) in enumerate(VARIANTS):
        if scheme == "mixed":
            pytest.importorskip("ai_edge_quantizer")
        paths.append(folder / f"{i}-{scheme}.tflite")
        convert_model(squares_model, squares, paths[-1], scheme=scheme, measure=False, **settings)
    return paths


def run(python: Path, bundles: list[Path]) -> list[dict]:
    """What the runtime of ``python`` makes of each."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [str(python), "-W", "error", str(REPOSITORY / "tests" / "peers" / "run_bundles.py"), *map(str, bundles)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("runtime", ["tflite-runtime 2.14", "ai-edge-litert 2.3"])
def test_a_bundle_runs_where_the_verdict_says_so(bundles: list[Path], runtime: str):
    python = Path(sys.executable)
    if runtime.startswith("tflite-runtime"):
        python = OLD
        if not python.exists():
            skip_or_fail("no .venv-tflite: make it with 'make test-tflite'")
    results = run(python, bundles)
    assert len(results) == len(bundles)
    for path, result in zip(bundles, results, strict=True):
        verdict = {verdict.runtime: verdict for verdict in verdicts(read_graph(read_bundle(path).flatbuffer))}[runtime]
        assert result["passed"] == verdict.runs, (path.name, str(verdict), result)
        assert result["backend"] == (runtime.split()[0] if verdict.runs else None)


def test_no_bundle_has_a_problem_and_only_int16_needs_a_new_runtime(bundles: list[Path]):
    refused = []
    for path in bundles:
        graph = read_graph(read_bundle(path).flatbuffer)
        assert problems(graph) == ()
        refused += [(path.stem, verdict.runtime) for verdict in verdicts(graph) if not verdict.runs]
    assert refused == [("6-mixed", "tflite-runtime 2.14"), ("6-mixed", "ai-edge-litert 1.4")]
