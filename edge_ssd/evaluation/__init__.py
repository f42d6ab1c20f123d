"""How good a detector is: average precision, measured the same way for every kind of model."""
