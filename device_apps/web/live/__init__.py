"""Live content of the web preview: MJPEG stream and server-sent events."""
