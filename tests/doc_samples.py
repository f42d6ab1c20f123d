"""Printed samples of README.md and docs/*.md: run again, and compared with the page or written to it.

    python tests/doc_samples.py --write     # or: make docs-samples

A sample is a command and what it prints, in a block of this form; another ``$ `` begins the next one. A line that is
only ``…`` stands for any lines, ``…`` in a line for any text.

    ```console
    $ edge-ssd detect --source photo.jpg
    photo.jpg  256×256    4.4 ms  banana 92% (184, 95, 222, 140)
    ```

Times, dates and ids may differ. ``CHECKED_BY`` names the tests that run a command anyway, and compare what it prints
with the page; they run it on small data, while the page shows measurements, so all numbers may differ. A sample that
cannot run here has this line before its block: ``<!-- not run: the reason -->``.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["CHECKED_BY", "PAGES", "REPOSITORY", "Sample", "agrees", "is_run", "prepare", "run", "samples_of", "shown"]

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]

# Commands that load TensorFlow, and those that other tests time or check, by page; the tests of the last page run it.
CHECKED_BY = {
    "README.md": {"convert": "test_converters_commands.py", "verify": "test_converters_commands.py"},
    "docs/conversion.md": {"compare": "test_converters_commands.py", "verify": "test_converters_commands.py"},
    "docs/service.md": {"doctor": "test_device_doctor.py", "bench": "test_device_bench.py"},
    "docs/fifteen-minutes.md": dict.fromkeys(
        ("data", "train", "convert", "verify"), "test_converters_fifteen_minutes.py"
    ),
}
WORDS_ONLY = "camera --source clip.mp4 --headless --save-video"

_BLOCK = re.compile(r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?```console\n(?P<text>.*?)^```$", re.M | re.S)
_SAMPLE = re.compile(r"^\$ (?P<command>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.M)
# What differs between two runs: times, and the first half of an event's id.
_VARYING = [
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00"), "TIME"),
    (re.compile(r'"id": "[0-9a-f]+-'), '"id": "RUN-'),
    (re.compile(r'"ms": \{[^}]*\}'), '"ms": {}'),
    (re.compile(r" +\d+\.\d+ ms\b"), " N ms"),
]


class Sample(NamedTuple):
    """A command and its shown output: the first line on the page, the arguments, the output, why it is not run."""

    page: str
    line: int
    command: str
    output: str
    reason: str

    @property
    def arguments(self) -> list[str]:
        """The arguments of ``edge-ssd``."""
        return shlex.split(self.command, comments=True)[1:]


def samples_of(page: Path) -> list[Sample]:
    """Return the samples of a page, in order; commands without output are none."""
    text = page.read_text(encoding="utf-8")
    samples = []
    for block in _BLOCK.finditer(text):
        for match in _SAMPLE.finditer(block["text"]):
            line = text.count("\n", 0, block.start("text") + match.start()) + 1
            if output := match["output"].rstrip("\n"):
                name = page.relative_to(REPOSITORY).as_posix()
                samples.append(Sample(name, line, match["command"], f"{output}\n", block["reason"] or ""))
    return samples


def shown(page: str, command: str) -> str:
    """Return the output that a page, such as ``docs/data.md``, shows for the command that begins so."""
    (output,) = [s.output for s in samples_of(REPOSITORY / page) if s.command.startswith(f"edge-ssd {command}")]
    return output


def is_run(sample: Sample) -> bool:
    """Return whether :func:`run` runs a sample: no other test does, and nothing prevents it."""
    return not sample.reason and sample.arguments[0] not in CHECKED_BY.get(sample.page, {})


def agrees(output: str, printed: str, words_only: bool = False) -> bool:
    """Return whether what a page shows is what was printed, but for times, ids and, if asked, all numbers."""
    pattern = re.escape(_normalized(output, words_only))
    pattern = re.sub(r"(?m)^…(?:\\\n|\n|$)", r"(?:.*\\n)*", pattern).replace("…", ".*")
    return re.fullmatch(pattern, _normalized(printed, words_only)) is not None


def _normalized(text: str, words_only: bool) -> str:
    for pattern, replacement in _VARYING:
        text = pattern.sub(replacement, text)
    if words_only:
        text = re.sub(r" +", " ", re.sub(r"[-+]?\d+(\.\d+)?", "N", text))
        text = re.sub(r"\bN (\w+)s\b", r"N \1", text)  # 1 object, 3 objects
    return "\n".join(line.rstrip() for line in [*text.splitlines(), ""])


def prepare(folder: Path, data: Path | None) -> None:
    """Fill a folder with the files that the commands of the samples name; ``data`` has the real datasets."""
    from PIL import Image

    from edge_ssd import find_model, read_bundle

    (folder / "device_apps").symlink_to(REPOSITORY / "device_apps")
    (folder / "clip.mp4").symlink_to(REPOSITORY / "device_apps" / "clips" / "bananas.mp4")
    Image.fromarray(read_bundle(find_model("banana")).selftest.image).save(folder / "photo.jpg", quality=95)
    if data is not None:
        (folder / "bccd").symlink_to(data / "bccd")


def run(sample: Sample, folder: Path) -> str:
    """Run the command of a sample in this process and the prepared folder; return what it prints.

    Of standard error, only what the page shows too is returned: ``edge-ssd: 1 image, …``.
    """
    from edge_ssd import cli

    with tempfile.TemporaryFile("w+", encoding="utf-8") as both:  # `--events -` writes to its descriptor
        err = both if "\nedge-ssd: " in f"\n{sample.output}" else io.StringIO()
        with contextlib.chdir(folder), contextlib.redirect_stdout(both), contextlib.redirect_stderr(err):
            status = cli.main(sample.arguments)
        both.seek(0)
        printed = both.read()
    assert status == 0, f"{sample.page}, line {sample.line}: {printed if err is both else err.getvalue()}"
    return printed


def is_words_only(sample: Sample) -> bool:
    return shlex.join(sample.arguments).startswith(WORDS_ONLY)


def _with_ellipsis(output: str, printed: str) -> str:
    """Return what was printed with the lines left out that the page leaves out: from its ``…`` on, up to its end."""
    before, ellipsis, after = output.partition("…\n")
    if not ellipsis or (before and not before.endswith("\n")):
        return printed
    lines, rest = printed.splitlines(keepends=True), after.count("\n")
    return "".join([*lines[: before.count("\n")], ellipsis, *(lines[-rest:] if rest else [])])


def _changes(folder: Path) -> Iterator[tuple[Sample, str]]:
    for page in PAGES:
        for sample in filter(is_run, samples_of(page)):
            if sample.arguments[0] == "data" and not (folder / "bccd").exists():
                print(f"{sample.page}, line {sample.line}: not run, no datasets")
                continue
            printed = run(sample, folder)
            if not agrees(sample.output, printed, is_words_only(sample)):
                yield sample, _with_ellipsis(sample.output, printed)


def main() -> None:
    data = Path(os.environ.get("EDGE_SSD_DATA", REPOSITORY.parent / "shared" / "data"))
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name), data if data.is_dir() else None)
        changes = list(_changes(Path(name)))
    for sample, printed in changes:
        print(f"{sample.page}, line {sample.line}: $ {sample.command}\n{printed}")
        if sys.argv[1:] == ["--write"]:
            page = REPOSITORY / sample.page
            old = f"$ {sample.command}\n{sample.output}"
            page.write_text(page.read_text(encoding="utf-8").replace(old, f"$ {sample.command}\n{printed}"), "utf-8")
    print(f"{len(changes)} samples differ" if changes else "all samples are up to date")


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))
    main()
