"""JSON, MessagePack and form bodies as every transport reads and writes them."""
