"""What every command shares on the terminal: log lines, the progress bar, tables and JSON."""
