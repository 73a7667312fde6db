"""The metrics, each a pure function."""
