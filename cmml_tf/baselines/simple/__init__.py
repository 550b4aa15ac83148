"""Simple systems of the scenario setting that a model has to beat: counts, and no network."""
