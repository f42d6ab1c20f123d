"""Fit anchor sizes and aspect ratios to the boxes of a dataset."""
