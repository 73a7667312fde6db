"""Clips in and out: nodes and their work."""
