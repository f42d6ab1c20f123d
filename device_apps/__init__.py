"""Programs for the board: camera sources, the detection loop, and what is done with its results."""
