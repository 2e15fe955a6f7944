"""Measurements of Tilewright beside Bluesky's writers; `python -m benchmarks` runs all, each script also runs alone."""
