"""A version folder: how it appears, and what it holds beside the graph."""
