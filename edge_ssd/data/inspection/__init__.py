"""Dataset inspection: summary, faults, duplicates, contact sheet and histogram."""
