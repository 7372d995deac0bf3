"""Tests, and the private services that they need."""
