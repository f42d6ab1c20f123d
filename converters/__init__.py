"""From a trained Keras model to one self-describing ``.tflite``, and the proof that nothing was lost on the way."""
