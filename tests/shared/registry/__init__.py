"""The registry, against a real server."""
