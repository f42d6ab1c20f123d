"""Weights from which training starts; :mod:`edge_ssd.training.pretrained_weights` reads them, MODEL_CARD.md names their
origin."""
