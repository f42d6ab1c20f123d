"""Writers of complete datasets: one module for each label format, listed in :mod:`edge_ssd.data.writers.registry`.

To add a format, write a module as :class:`edge_ssd.data.writers.dataset_writer.DatasetWriter` describes it and add it
to :data:`edge_ssd.data.writers.registry.DATASET_WRITERS`: ``--to`` then lists it, and ``tests/test_data_writers.py``
reads back what it writes.
"""
