"""Stand-ins for the rim: memory adapters that keep the ports' promises, and settable sources."""
