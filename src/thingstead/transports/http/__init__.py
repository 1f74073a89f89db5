"""HTTP: the server protocol, the v2 API, live streams and health."""
