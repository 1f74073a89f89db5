"""Socket.IO for the original's apps: Engine.IO 3 and 4 over polling and WebSocket, `/v2` only."""
