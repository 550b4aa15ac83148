"""Simple systems of the user setting that a model has to beat: means, neighbours, factors."""
