"""Devices that networks and providers know by ids of their own, and what their bytes mean."""
