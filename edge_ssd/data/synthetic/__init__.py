"""Synthetic banana dataset, drawn with NumPy and Pillow."""
