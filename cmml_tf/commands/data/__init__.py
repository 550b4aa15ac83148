"""Commands that make data ready before a training."""
