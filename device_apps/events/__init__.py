"""Something came, something went: told to files, brokers, pins and pages."""
