"""What scores a pair, and how a context modulates it."""
