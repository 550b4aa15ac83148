"""Systems to compare with: the same episodes in, scores out."""
