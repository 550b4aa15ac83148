"""Which models and versions are there: configuration, loading, warm-up, states."""
