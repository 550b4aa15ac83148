"""What the measurements of a server share: the server itself, exports, load, damage."""
