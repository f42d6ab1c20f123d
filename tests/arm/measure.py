"""Measure the instruction table again.

    python tests/arm/measure.py [--write] [CPU ...]

Prints the table of docs/arm.md; with --write, replaces it there and in tests/arm/instructions.json.
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

from arm.fetch import CPUS, Unavailable, fetch, install_project
from arm.instructions import LANE, STAGES, TABLE, Count, count_instructions
from arm.lanes import REPOSITORY
from arm.project_wheel import build_wheel

__all__ = ["markdown", "prepare", "rewrite"]

PAGE = REPOSITORY / "docs" / "arm.md"
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
    except Unavailable as error:
        print(f"measure: {error}", file=sys.stderr)
        return 2
    print(markdown({count.cpu: count.stages for count in counts}))
    for count in counts:
        print(
            count.cpu,
            {name: f"{spread:.1e}" for name, spread in count.spread.items()},
            "relative spread of the repeats",
        )
    if arguments.write:
        write(counts)
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


def rewrite(page: str, table: str) -> str:
    """Return ``page`` with its table replaced.

    Raises:
        ValueError: ``page`` does not hold exactly one table.
    """
    replaced, number = re.subn(r"(?m)^\| millions of instructions .*\n(?:\|.*\n)+", lambda _: table + "\n", page)
    if number != 1:
        raise ValueError(f"docs/arm.md must contain the table once, contains it {number} times")
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
