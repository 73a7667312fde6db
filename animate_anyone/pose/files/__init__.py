"""Keypoint files, and corrections by hand."""
