"""Sharing: rights that users grant each other."""
