"""Models that are shipped with the package; :func:`edge_ssd.runtime.models.default_model` finds them."""
