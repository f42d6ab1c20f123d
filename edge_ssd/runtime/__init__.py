"""What runs on the device: NumPy and the standard library, with Pillow where a picture is opened or resized."""
