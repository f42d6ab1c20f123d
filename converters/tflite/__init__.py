"""Read and edit TFLite flatbuffers: operators, compatibility with runtimes, metadata.

``raw_tables`` reads and writes tables without a schema, ``schema_model`` uses TensorFlow's schema classes, and
``graph_editor`` appends operators. ``operators``, ``op_versions`` and ``compatibility`` work on the device.
"""
