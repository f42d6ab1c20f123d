"""Measure the instruction tables again.

    python tests/arm/measure.py [--write] [CPU ...]

Prints the table of docs/arm.md, and the instructions of the features on a Cortex-A72; with --write, replaces the table
there and in tests/arm/instructions.json, and the features in tests/arm/features.json, which
tests/benchmarks/features.py reads.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from arm.fetch import CPUS, Unavailable, fetch, fetch_opencv, install_project
from arm.instructions import LANE, STAGES, TABLE, Count, count_instructions, count_stages
from arm.lanes import REPOSITORY
from arm.project_wheel import build_wheel

__all__ = ["FEATURE_TABLE", "markdown", "prepare", "rewrite"]


PAGE = REPOSITORY / "docs" / "arm.md"
FEATURE_TABLE = Path(__file__).resolve().parent / "features.json"
_BOARDS = {"cortex-a53": "Pi 3, Zero 2", "cortex-a72": "Pi 4", "cortex-a76": "Pi 5"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cpus", nargs="*", metavar="CPU", help=f"any of {', '.join(CPUS)}; default: all")
    parser.add_argument("--write", action="store_true", help="write the result (needs all CPUs)")
    arguments = parser.parse_args()
    cpus = arguments.cpus or list(CPUS)
    if arguments.write and set(cpus) != set(CPUS):
        parser.error("--write needs all CPUs")
    try:
        prepare()
        counts = [count_instructions(cpu) for cpu in cpus]
        with tempfile.TemporaryDirectory() as folder:
            features = count_stages("cortex-a72", "guest_features.py", fetch_opencv(LANE), Path(folder))
    except Unavailable as error:
        print(f"measure: {error}", file=sys.stderr)
        return 2
    print(markdown({count.cpu: count.stages for count in counts}))
    print("features on cortex-a72:", features.stages)
    for count in (*counts, features):
        print(
            count.cpu,
            {name: f"{spread:.1e}" for name, spread in count.spread.items()},
            "relative spread of the repeats",
        )
    if arguments.write:
        write(counts)
        content = {"ran": features.ran, "instructions": features.stages}
        FEATURE_TABLE.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 0


def prepare() -> None:
    """Fetch the lane and install the working tree in it.

    Raises:
        Unavailable: this machine cannot run or fetch the lane.
    """
    fetch(LANE)
    with tempfile.TemporaryDirectory() as folder:
        install_project(LANE, build_wheel(Path(folder) / "build"))


def markdown(instructions: dict[str, dict[str, int]]) -> str:
    """Format the counts (CPU → stage → instructions) as a Markdown table in millions."""
    lines = [f"| millions of instructions | {' | '.join(STAGES)} | ratio to invoke |", "|---|" + "---:|" * 5]
    for cpu, stages in instructions.items():
        numbers = " | ".join(f"{stages[name] / 1e6:.2f}" for name in STAGES)
        ratio = stages["all but invoke"] / stages["invoke"]
        lines.append(f"| {cpu.replace('cortex-a', 'Cortex-A')} ({_BOARDS[cpu]}) | {numbers} | {ratio:.1%} |")
    return "\n".join(lines)


def rewrite(page: str, table: str, start: str = "| millions of instructions ") -> str:
    """Return ``page`` with its table replaced whose first line begins with ``start``.

    Raises:
        ValueError: ``page`` does not hold exactly one such table.
    """
    replaced, number = re.subn(rf"(?m)^{re.escape(start)}.*\n(?:\|.*\n)+", lambda _: table + "\n", page)
    if number != 1:
        raise ValueError(f"the page must contain the table once, contains it {number} times")
    return replaced


def write(counts: list[Count]) -> None:
    """Write the counts of all CPUs to the JSON file and to docs/arm.md."""
    ran = counts[0].ran
    if any(count.ran != ran for count in counts):
        raise RuntimeError(f"the processors ran different versions: {[count.ran for count in counts]}")
    instructions = {count.cpu: count.stages for count in counts}
    TABLE.write_text(json.dumps({"ran": ran, "instructions": instructions}, indent=2) + "\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(rewrite(page, markdown(instructions)), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
