"""Readers of single label files, used by the modules of :mod:`edge_ssd.data.formats`."""
