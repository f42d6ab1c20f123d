"""Average precision of a detector, measured the same way for Keras and TFLite models."""
