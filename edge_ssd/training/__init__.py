"""What runs on the workstation: the TinySSD in Keras and its training. Needs the ``train`` extra."""
