"""What several suites need: a server in a process of its own, and a client of raw bytes."""
