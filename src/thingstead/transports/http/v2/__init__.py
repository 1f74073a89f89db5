"""The v2 API: one module per feature, each giving its routes."""
