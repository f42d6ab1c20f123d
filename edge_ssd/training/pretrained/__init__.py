"""Weights from which training starts; :mod:`edge_ssd.training.pretrained_weights` reads them, and
``docs/pretraining.md`` names their origin."""
