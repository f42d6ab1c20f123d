"""Do events survive kills? Real Mosquittos and real processes of ours, killed with SIGKILL at any moment.

python tests/benchmarks/event_kills.py [--broker-kills 20 --events 2000 --process-kills 50]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from event_kills import kill_brokers, kill_writers


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broker-kills", type=int, default=20)
    parser.add_argument("--events", type=int, default=2000)
    parser.add_argument("--process-kills", type=int, default=50)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        delivery = kill_brokers(Path(name), args.broker_kills, args.events)
    repeated = len(delivery.arrived) - len(set(delivery.arrived))
    print(
        f"{delivery.kills} kills of the broker, {len(delivery.published)} events published: {len(delivery.lost)} lost, "
        f"{repeated} arrived again, {delivery.disorder} out of order within their object; {delivery.seconds:.0f} s"
    )
    with tempfile.TemporaryDirectory() as name:
        remains = kill_writers(Path(name), args.process_kills)
    print(
        f"{remains.kills} kills of the writing process: {remains.lines} lines, {remains.bad_lines} unreadable or "
        f"with a gap before them, {remains.torn} kills left half a line at the end (cut off at the next start); "
        f"{remains.pictures} pictures, {remains.bad_pictures} unreadable, {remains.unfinished} unfinished under a "
        f"temporary name, {remains.left_over} of those still there after the next start; "
        f"{remains.spooled} spooled messages, {remains.bad_spools} gaps or failed integrity checks"
    )
    bad = len(delivery.lost) + delivery.disorder
    bad += remains.bad_lines + remains.bad_pictures + remains.left_over + remains.bad_spools
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
