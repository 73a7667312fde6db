"""Detecting people in frames and following them through a clip."""
