"""Models that are shipped with the package; :func:`edge_ssd.runtime.shipped_models.default_model` finds them."""
