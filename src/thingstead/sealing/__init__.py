"""Sealing: secrets that the owner may see again, closed under the installation's key."""
