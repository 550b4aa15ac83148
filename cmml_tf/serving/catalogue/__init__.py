"""`recommend`: the best of the whole catalogue, found in the served graph."""
