"""Write the self-describing ``.tflite`` bundle."""
