"""Painting what the pose pair is trained on: scenery, and figures that look less drawn."""
