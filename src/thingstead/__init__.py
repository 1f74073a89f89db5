"""Self-hosted IoT platform server that speaks the thethings.iO v2 API."""

__version__ = "0.1.0"
