"""Skeletons: reading, writing and drawing keypoints."""
