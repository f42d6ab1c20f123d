"""Training input pipeline: decode, augment, crop, batch."""
