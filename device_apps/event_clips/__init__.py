"""Clips of events: a video from some seconds before objects enter until they have left, ``--event-clips``."""
