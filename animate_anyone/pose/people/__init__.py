"""People in frames and over time."""
