"""Training objectives: scenario ranking (hinge, equation 4) and rating prediction (equation 5)."""
