"""Checks whether a machine is ready for detection, with a remedy for each problem.

For machines where something is broken, so this needs Python's standard library alone.
"""
