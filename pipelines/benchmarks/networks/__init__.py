"""What networks cost: contexts, scores, training steps."""
