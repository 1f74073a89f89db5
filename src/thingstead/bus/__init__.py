"""Buses: how notifications of committed writes reach those who listen."""
