"""Several cameras in one process: their tables in the configuration file, their outputs, and their loop."""
