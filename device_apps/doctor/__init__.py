"""Checks whether a machine is ready for detection, with a remedy for each problem.

========================  =====================================================
``checks``                the list of checks, and how they are run
``finding``               the result of a check
``software``              NumPy, the TFLite interpreter, the model, OpenCV, extras
``system``                Python, processor, memory, disk, heat, clock, permissions
``cameras``, ``v4l2``     webcams and CSI cameras
``probe``                 runs code in a process of its own, which may crash
========================  =====================================================

For machines where something is broken, so this needs Python's standard library alone.
"""
