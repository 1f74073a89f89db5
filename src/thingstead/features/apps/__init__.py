"""Apps: what users belong to, and which resources it reaches."""
