"""Data sets of real clips: prepared once, stored on disk, and read for training and tests."""
