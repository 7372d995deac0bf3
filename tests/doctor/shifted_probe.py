"""Runs a probe on a node whose clock is off: SECONDS PROBE ARGUMENTS…, all but the first as usual."""

from __future__ import annotations

import runpy
import sys
import time

seconds = float(sys.argv.pop(1))
real = time.time
sys.argv.pop(0)
time.time = lambda: real() + seconds
runpy.run_path(sys.argv[0], run_name="__main__")
