"""Evaluation tasks: drawn once, saved and hashed, the same for every system."""
