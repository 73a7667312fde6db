"""Poses: nodes and their work."""
