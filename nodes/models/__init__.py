"""Loading and encoding: nodes and their work."""
