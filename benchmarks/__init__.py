"""What Headway costs, beside what others cost: `python -m benchmarks`, `make bench`."""
