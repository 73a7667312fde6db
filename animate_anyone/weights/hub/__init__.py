"""Published weight sets: what belongs to them, and how they are fetched."""
