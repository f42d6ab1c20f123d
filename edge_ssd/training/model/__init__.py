"""The TinySSD Keras model and its layers."""
