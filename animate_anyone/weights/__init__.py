"""Weight files: what they are, whether they fit, and how they become networks."""
