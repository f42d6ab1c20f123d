"""What runs on the device: NumPy and the standard library, with Pillow where an image is opened or resized."""
