"""Stands for the worker: says that it began, and ends with the code that it is told."""

import os
import sys
import time
from pathlib import Path

folder, token = Path(sys.argv[1]), sys.argv[2]
index = sys.argv[3] if len(sys.argv) > 3 else os.environ.get("SLURM_ARRAY_TASK_ID", "0")
(folder / f"began-{token}-{index}").touch(exist_ok=False)
order = folder / f"end-{index}"
patience = time.monotonic() + 60
while not order.exists() and time.monotonic() < patience:
    time.sleep(0.02)
sys.exit(int(order.read_text()))
