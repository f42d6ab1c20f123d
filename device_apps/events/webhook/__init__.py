"""Webhook: each event as a POST request with JSON, kept on disk until the server has taken it."""
