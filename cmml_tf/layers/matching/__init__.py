"""Matching: what a support set says about the very item and the very user that a query names."""
