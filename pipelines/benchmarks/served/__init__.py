"""What the measurements of a server share: exports, load, damage."""
