"""Events: which objects entered and left the view of a camera, and where that is published."""
