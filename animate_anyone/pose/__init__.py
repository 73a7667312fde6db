"""Skeletons: detecting, reading, writing, retargeting and drawing keypoints."""
