"""Training: optimiser, callbacks and the resumable fit loop."""
