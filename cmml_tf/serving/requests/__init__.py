"""What a request must be, checked inside the served graph."""
