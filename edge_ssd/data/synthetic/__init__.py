"""The synthetic banana dataset, drawn with Pillow."""
