"""Training and evaluation: nodes and their work."""
