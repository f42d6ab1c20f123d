"""``python -m edge_ssd`` is ``edge-ssd``."""

from __future__ import annotations

import sys

from edge_ssd.cli import main

if __name__ == "__main__":
    sys.exit(main())
