"""TinySSD in Keras and its training on the workstation. Needs the ``train`` extra."""
