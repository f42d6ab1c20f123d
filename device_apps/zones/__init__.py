"""Zones, lines and masks of a camera's image: their geometry, configuration, counts and drawing."""
