"""Read and edit TFLite flatbuffers: operators, metadata, compatibility."""
