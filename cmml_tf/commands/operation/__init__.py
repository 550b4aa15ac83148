"""Commands that look after what is served."""
