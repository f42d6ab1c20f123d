"""Count the events that are lost when Mosquitto, or the writing process, is killed (SIGKILL) at random.

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
    duplicates = len(delivery.received) - len(set(delivery.received))
    print(
        f"{delivery.kills} kills of the broker, {len(delivery.published)} events published: {len(delivery.lost)} "
        f"lost, {duplicates} arrived twice, {delivery.out_of_order} out of order by object; {delivery.seconds:.0f} s"
    )
    with tempfile.TemporaryDirectory() as name:
        counts = kill_writers(Path(name), args.process_kills)
    print(
        f"{counts.kills} kills of the writing process: {counts.lines} lines, {counts.bad_lines} unreadable or "
        f"with a gap before them, {counts.incomplete_lines} incomplete last lines (removed at the next start); "
        f"{counts.snapshots} snapshots, {counts.bad_snapshots} unreadable, {counts.temporary} temporary files left, "
        f"{counts.not_deleted} of them not deleted at the next start; "
        f"{counts.spooled} spooled messages, {counts.bad_spools} gaps or failed integrity checks"
    )
    bad = len(delivery.lost) + delivery.out_of_order
    bad += counts.bad_lines + counts.bad_snapshots + counts.not_deleted + counts.bad_spools
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
