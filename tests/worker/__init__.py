"""Tests of the worker: real processes, really started and really killed."""
