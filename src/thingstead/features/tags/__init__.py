"""Tags of things: the smallest feature, and the one to read first."""
