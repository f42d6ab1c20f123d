"""Access control of the web preview: listening address, token, login page, rate limit."""
