"""Measures the instruction table anew.

    python tests/arm/measure.py [--write] [CPU ...]

Prints a table as in docs/arm.md; with --write, puts it there and in tests/arm/instructions.json.
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
    parser.add_argument("cpus", nargs="*", metavar="CPU", help=f"of {', '.join(CPUS)}; default: all")
    parser.add_argument("--write", action="store_true", help="keep the result (needs all CPUs)")
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
        print(count.cpu, {name: f"{share:.1e}" for name, share in count.spread.items()}, "between repeats")
    if arguments.write:
        write(counts)
    return 0


def prepare() -> None:
    """Fetch the lane and install the working tree in it; raises :class:`Unavailable` where that cannot be."""
    fetch(LANE)
    with tempfile.TemporaryDirectory() as folder:
        install_project(LANE, build_wheel(Path(folder) / "build"))


def markdown(instructions: dict[str, dict[str, int]]) -> str:
    """The table, millions of instructions."""
    lines = [f"| millions of instructions | {' | '.join(STAGES)} | its share of invoke |", "|---|" + "---:|" * 5]
    for cpu, stages in instructions.items():
        numbers = " | ".join(f"{stages[name] / 1e6:.2f}" for name in STAGES)
        share = stages["all but invoke"] / stages["invoke"]
        lines.append(f"| {cpu.replace('cortex-a', 'Cortex-A')} ({_BOARDS[cpu]}) | {numbers} | {share:.1%} |")
    return "\n".join(lines)


def rewrite(page: str, table: str) -> str:
    """``page`` with its table replaced."""
    new, number = re.subn(r"(?m)^\| millions of instructions .*\n(?:\|.*\n)+", lambda _: table + "\n", page)
    if number != 1:
        raise ValueError(f"docs/arm.md must hold the table once, holds it {number} times")
    return new


def write(counts: list[Count]) -> None:
    ran = counts[0].ran
    if any(count.ran != ran for count in counts):
        raise RuntimeError(f"the processors did not run the same: {[count.ran for count in counts]}")
    instructions = {count.cpu: count.stages for count in counts}
    TABLE.write_text(json.dumps({"ran": ran, "instructions": instructions}, indent=2) + "\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(rewrite(page, markdown(instructions)), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
