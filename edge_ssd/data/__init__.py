"""Datasets of labeled images: label formats, loading, inspection, anchor fitting, download and synthesis."""
