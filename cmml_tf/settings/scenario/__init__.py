"""Scenarios: rank the items of a theme page, campaign or shelf that nobody has seen."""
