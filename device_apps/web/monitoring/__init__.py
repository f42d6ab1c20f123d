"""State of the running loop for the web page, health checks and Prometheus."""
