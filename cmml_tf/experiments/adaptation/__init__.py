"""Adaptation: what makes a model read its support set, and what that costs."""
