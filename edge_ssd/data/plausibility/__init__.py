"""Faults that a label tool or a wrong export makes in most objects of a dataset, each reported in one line."""
