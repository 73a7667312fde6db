"""Real clips as training and test data: prepared once, kept on disk, drawn at random."""
