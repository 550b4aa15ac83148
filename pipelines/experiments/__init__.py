"""Experiments about adaptation: what is run, how one cell is run, and how results are drawn."""
