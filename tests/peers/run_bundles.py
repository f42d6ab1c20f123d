"""Run the self-test of bundles with the installed TFLite runtime and print one JSON line per file.

Tests start this script in other environments, which need NumPy, Pillow and a runtime. The repository's root must be on
the path.
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
