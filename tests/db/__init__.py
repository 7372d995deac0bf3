"""Tests of what Headway remembers."""
