"""Proof that our numbers are those of the public implementation."""
