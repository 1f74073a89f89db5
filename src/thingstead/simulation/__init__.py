"""A simulated fleet: for the live demo, for trying out a server, and for load."""
