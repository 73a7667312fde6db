"""Keypoints in files and texts."""
