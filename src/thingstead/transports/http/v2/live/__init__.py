"""`GET /v2/live`: our own live WebSocket. Read on in `socket.py`."""
