"""Files for other runtimes: MediaPipe Tasks and ``TFLite_Detection_PostProcess``."""
