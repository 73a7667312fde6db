"""How good generated frames are: metrics as pure functions, and the held-out test of aa-mini."""
