"""Named models, each with the training that goes with it."""
