"""Ratings as a distribution over the levels of a scale, from fold-ins and rated neighbours."""
