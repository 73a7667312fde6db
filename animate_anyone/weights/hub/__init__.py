"""Download of published weight sets."""
