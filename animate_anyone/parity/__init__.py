"""Comparison of our numbers with those of the public implementation."""
