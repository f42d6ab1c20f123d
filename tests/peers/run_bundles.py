"""Run the self-test of bundles with whatever TFLite runtime this Python has: one JSON line for each file named.

Needs NumPy, Pillow and a runtime; the repository's root is on the path. Not a test: tests start it in other
environments.
"""

from __future__ import annotations

import json
import sys

from edge_ssd.errors import EdgeSSDError
from edge_ssd.runtime.detector import Detector

for path in sys.argv[1:]:
    try:
        with Detector(path) as detector:
            result = detector.selftest()
            print(json.dumps({"backend": detector.backend, "passed": result.passed, "problem": result.problem}))
    except EdgeSSDError as error:
        print(json.dumps({"backend": None, "passed": False, "problem": str(error)}))
