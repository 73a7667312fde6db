"""Skeletons as pictures, and back."""
