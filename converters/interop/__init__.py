"""Profiles: files for other runtimes, such as MediaPipe Tasks and Frigate, instead of a bundle.

A *profile* is a target format. Its model decodes and suppresses boxes itself, with ``TFLite_Detection_PostProcess``.
"""
