"""Quality of generated frames: metrics as pure functions, and the held-out test of aa-mini."""
