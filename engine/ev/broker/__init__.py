"""Requests to responses: the broker, free of sockets."""
