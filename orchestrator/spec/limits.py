"""Limits that several places share; imports nothing, so that the command line starts at once."""

from __future__ import annotations

LONGEST_NAME = 100  # the width of the columns that keep names
LARGEST_SEED = 2**32 - 1  # numpy takes no larger one
