"""TinySSD in Keras and its training on the workstation. Needs the ``train`` extra."""

from edge_ssd.training.keras_import import import_keras_without_files

# Before any module of this package imports TensorFlow, which imports Keras.
import_keras_without_files()
