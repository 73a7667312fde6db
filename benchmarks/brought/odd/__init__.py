"""Odd files: what a stranger's tools, cameras and converters make of clips and keypoints."""
