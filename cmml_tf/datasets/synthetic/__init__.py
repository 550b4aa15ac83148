"""Scenarios and logs that are made up, from which what is right is known."""
