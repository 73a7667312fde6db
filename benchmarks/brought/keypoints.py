"""Keypoint files: what extractors, editors and data sets write."""

from .case import Case

KEYPOINTS: tuple[Case, ...] = ()
