"""The one place that puts parts together: a run, and the head that owns it."""
