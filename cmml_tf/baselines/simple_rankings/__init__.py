"""Systems of the ranking setting that are no network."""
