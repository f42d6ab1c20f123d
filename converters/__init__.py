"""Convert a trained Keras model to one self-describing ``.tflite``, and verify its accuracy."""
