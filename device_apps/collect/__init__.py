"""Frames of a running camera that are worth labeling, kept as a dataset to train on: ``edge-ssd camera --collect``."""
