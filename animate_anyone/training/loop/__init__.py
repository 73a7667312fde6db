"""The training loop of both stages, and its parts."""
