"""Clips of events: videos from some seconds before an event until some seconds after it, ``--event-clips``."""
