"""Sessions of messaging clients that outlive their connection, and what waits in them."""
