"""Collections of objects: JSON documents that an app keeps for its users."""
