"""Labelled pictures: reading label formats, inspecting a set, the book's banana set, the synthetic set."""
