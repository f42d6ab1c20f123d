"""Bundles of every scheme in tflite-runtime 2.14 and ai-edge-litert: they run where the compatibility check says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import REPOSITORY, skip_or_fail
from small_model import convert_network

from converters.config import ConversionConfig
from converters.convert import convert_model
from converters.passes import ConversionState
from converters.quantization.schemes import SCHEMES
from converters.tflite.compatibility import check_compatibility, portability_problems
from converters.tflite.operators import read_graph
from edge_ssd.data.load import open_dataset
from edge_ssd.runtime.bundle import read_bundle

pytest.importorskip("tensorflow")
pytest.importorskip("ai_edge_litert")

TFLITE_RUNTIME_PYTHON = REPOSITORY / ".venv-tflite" / "bin" / "python"

# The last variant keeps layers other than the heads in int16, which older runtimes refuse.
VARIANTS = [
    *((scheme, {}) for scheme in SCHEMES),
    ("mixed", {"keep": ("classes_0", "base_net/*"), "keep_type": "int16"}),
]


@pytest.fixture(scope="module")
def bundles(
    tmp_path_factory, squares: Path, squares_model: Path, squares_tiny_ssd, squares_flatbuffer, squares_images
) -> list[Path]:
    pytest.importorskip("ai_edge_quantizer")
    folder, data = tmp_path_factory.mktemp("bundles"), open_dataset(squares)

    def convert(state: ConversionState, _: Path) -> bytes:
        config = state.config
        if config.keep_type == "float":
            return squares_flatbuffer(config.scheme)
        return convert_network(state.model, config.scheme, squares_images, config.keep, "int16")

    paths = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("converters.convert.apply_in_subprocess", convert)
        for i, (scheme, settings) in enumerate(VARIANTS):
            paths.append(folder / f"{i}-{scheme}.tflite")
            config = ConversionConfig(scheme=scheme, measure=False, **settings)
            convert_model(squares_model, data, paths[-1], config, model=squares_tiny_ssd)
        paths.append(folder / "top-down.tflite")
        model = with_top_down_path(squares_tiny_ssd)
        flatbuffer = convert_network(model, "int8", squares_images)
        patch.setattr("converters.convert.apply_in_subprocess", lambda *_: flatbuffer)
        convert_model(squares_model, data, paths[-1], ConversionConfig(measure=False), model=model)
    return paths


def with_top_down_path(model):
    """Return a copy of ``model`` with a top-down path of random weights."""
    import keras

    from edge_ssd.training.initial_weights import InitialWeights, copy_weights
    from edge_ssd.training.model.tiny_ssd import TinySSD

    result = TinySSD(replace(model.network, top_down=True))
    copy_weights(InitialWeights.of(model, "squares"), result)
    for layer in result.top_down:
        layer.kernel.assign(keras.random.normal(layer.kernel.shape, stddev=0.1, seed=0))
    return result


def run_bundles(python: Path, bundles: list[Path]) -> list[dict]:
    """Return the self-test results of ``bundles`` in the runtime of the interpreter ``python``."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [str(python), "-W", "error", str(REPOSITORY / "tests" / "peers" / "run_bundles.py"), *map(str, bundles)]
    process = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
    assert process.returncode == 0, process.stderr
    return [json.loads(line) for line in process.stdout.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("runtime", ["tflite-runtime 2.14", "ai-edge-litert 2.3"])
def test_bundle_runs_where_check_compatibility_says_so(bundles: list[Path], runtime: str):
    python = Path(sys.executable)
    if runtime.startswith("tflite-runtime"):
        python = TFLITE_RUNTIME_PYTHON
        if not python.exists():
            skip_or_fail("no .venv-tflite: make it with 'make test-tflite'")
    results = run_bundles(python, bundles)
    assert len(results) == len(bundles)
    for path, result in zip(bundles, results, strict=True):
        targets = check_compatibility(read_graph(read_bundle(path).flatbuffer))
        (target,) = (target for target in targets if target.runtime == runtime)
        assert result["passed"] == target.runs, (path.name, str(target), result)
        assert result["backend"] == (runtime.split()[0] if target.runs else None)


def test_only_int16_layers_need_the_newest_runtime(bundles: list[Path]):
    refused = []
    for path in bundles:
        graph = read_graph(read_bundle(path).flatbuffer)
        assert portability_problems(graph) == ()
        refused += [(path.stem, target.runtime) for target in check_compatibility(graph) if not target.runs]
    assert refused == [("6-mixed", "tflite-runtime 2.14"), ("6-mixed", "ai-edge-litert 1.4")]
