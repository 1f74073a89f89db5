"""The UDP gateway: one datagram in, one status byte back (`thethings-v2.md` 5.4)."""
