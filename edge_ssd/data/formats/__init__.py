"""One module for each label format, and the annotations that they all return."""
