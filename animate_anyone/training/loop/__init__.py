"""The training loop of both stages, and what it is made of."""
