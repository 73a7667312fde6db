"""The skeleton as data."""
