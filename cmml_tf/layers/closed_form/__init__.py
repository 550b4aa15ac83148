"""Adaptation in closed form, which is not in the paper: ridge regressions on the support."""
