"""Terminal output of the commands: log lines, progress bar, tables, JSON."""
