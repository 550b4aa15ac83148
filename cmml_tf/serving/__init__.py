"""Serving the model: export, development server, client."""
