"""Campaigns: an image reaches its things in rings, and stops by itself when it does harm."""
