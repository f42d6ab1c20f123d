"""The workstation's ``edge-ssd`` subcommands: each parses its options, calls the library and prints the result."""
