"""Measurements: each module prints nothing and returns figures for the JSON of `benchmark.py`."""
