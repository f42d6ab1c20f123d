"""Download and unpack public datasets."""
