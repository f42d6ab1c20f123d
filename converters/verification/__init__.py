"""Compare a converted model with its float original."""
