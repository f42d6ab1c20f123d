"""Web preview: live image, statistics, events and settings in a browser."""
