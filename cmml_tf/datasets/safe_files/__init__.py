"""Pickles and matrices of strangers, read without calling or unfolding what they name."""
