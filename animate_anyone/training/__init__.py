"""Training in the paper's two stages, and the procedural characters that aa-mini learns from."""
