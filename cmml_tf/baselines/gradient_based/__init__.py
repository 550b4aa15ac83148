"""Baselines that adapt to a task by gradient steps on its support set."""
