"""README.md and docs/*.md: their commands print what the pages show, and their Python code runs."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import doc_samples
import numpy as np
import pytest
from book_page import Block, blocks_of, run
from conftest import REPOSITORY
from doc_samples import CHECKED_BY, PAGES, Sample, agrees, is_run, is_words_only, samples_of
from processes import run_python

from edge_ssd import Detector, find_model

pytestmark = pytest.mark.machine_independent

SAMPLES = [sample for page in PAGES for sample in samples_of(page)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that commands and code of the pages name, but for the real datasets."""
    folder = tmp_path_factory.mktemp("samples")
    doc_samples.prepare(folder, None)
    (folder / "banana.tflite").symlink_to(find_model("banana"))
    for name in ("a.jpg", "b.jpg"):
        (folder / name).symlink_to("photo.jpg")
    return folder


@pytest.mark.parametrize(
    "sample", [pytest.param(sample, id=f"{sample.page}:{sample.line}") for sample in SAMPLES if is_run(sample)]
)
def test_command_prints_what_page_shows(sample: Sample, folder: Path, request: pytest.FixtureRequest) -> None:
    if sample.arguments[0] == "data" and not (folder / "bccd").exists():
        (folder / "bccd").symlink_to(request.getfixturevalue("shared_data") / "bccd")
    printed = doc_samples.run(sample, folder)
    assert agrees(sample.output, printed, is_words_only(sample)), (
        f"{sample.page}, line {sample.line}, shows another output; make docs-samples updates it:\n{printed}"
    )


def test_every_sample_is_run_by_a_test() -> None:
    """A sample in a block of another form would escape: ``$`` begins a line in ``console`` blocks only."""
    assert len([sample for sample in SAMPLES if is_run(sample)]) >= 7
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        prompts = sum(line.lstrip().startswith("$ ") for line in text.splitlines())
        in_blocks = sum(line.startswith("$ ") for line in text.splitlines())
        assert prompts == in_blocks, f"{page.name}: write it as a ```console block, see tests/doc_samples.py"
        assert in_blocks == 0 or "```console\n$ " in text
    for sample in SAMPLES:
        if not sample.reason and not is_run(sample):
            test = REPOSITORY / "tests" / CHECKED_BY[sample.page][sample.arguments[0]]
            assert Path(sample.page).name in test.read_text(encoding="utf-8")


# What the code of the pages takes from the program around it.
NAMES: dict[str, Any] = {
    "Detector": Detector,
    "image": np.zeros((48, 64, 3), np.uint8),
    "model": "nano",
}
CODE = [
    pytest.param(page, block, id=f"{page.name}:{block.line}")
    for page in PAGES
    if page.name not in ("book.md", "interop.md")  # see test_docs_book.py; test_converters_interop.py has mediapipe
    for block in blocks_of(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("page", "block"), CODE)
def test_code_runs(page: Path, block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    if "__main__" in block.code:  # a program, which starts processes of its own
        (folder / "program.py").write_text(block.code)
        done = run_python("program.py", cwd=folder)
        assert (done.returncode, done.stdout) == (0, "[3, 3]\n"), done.stderr
        return
    printed = run(block, names := {**NAMES}, page)
    assert printed.count("banana ") == (3 if "photo.jpg" in block.code and "print(" in block.code else 0)
    names.get("detector", Detector(names["model"])).close()


def test_page_states_signature_of_detector() -> None:
    page = (REPOSITORY / "docs" / "runtime.md").read_text(encoding="utf-8")
    (code,) = [block.code for block in blocks_of(page) if block.code.startswith("Detector(")]
    call = ast.parse(code).body[0].value  # type: ignore[attr-defined]
    stated = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    parameters = list(inspect.signature(Detector).parameters.values())
    assert stated == {parameter.name: parameter.default for parameter in parameters[1:]}


class TestComparison:
    SHOWN = 'a 1.0 ms  0.5\n…\n{"x": "…", "time": "2026-11-24T14:24:04.372+00:00"}\n'

    @pytest.mark.parametrize(
        ("printed", "same"),
        [
            ('a  12.5 ms  0.5\nb\nc\n{"x": "y", "time": "2027-01-01T00:00:00.000+00:00"}\n', True),
            ('a  12.5 ms  0.5\n{"x": "y", "time": "2027-01-01T00:00:00.000+00:00"}\n', True),
            ('a  12.5 ms  0.6\n{"x": "y", "time": "2027-01-01T00:00:00.000+00:00"}\n', False),
            ('a  12.5 ms  0.5\n{"y": "y", "time": "2027-01-01T00:00:00.000+00:00"}\n', False),
            ("a  12.5 ms  0.5\n", False),
        ],
    )
    def test_agrees(self, printed: str, same: bool) -> None:
        assert agrees(self.SHOWN, printed) == same

    def test_words_only(self) -> None:
        assert agrees("AP  0.899  -0.0002\n", "AP 0.9 +0.1000\n", words_only=True)
        assert not agrees("AP  0.899\n", "AP50  0.899\n", words_only=True)

    def test_update_keeps_the_lines_that_a_page_leaves_out(self) -> None:
        assert doc_samples._with_ellipsis("a\n…\ny\nz\n", "1\n2\n3\n4\n5\n") == "1\n…\n4\n5\n"
        assert doc_samples._with_ellipsis("a …\n", "1\n2\n") == "1\n2\n"
