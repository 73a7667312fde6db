"""The weight sets: one module per set holds all its facts; `table` lists the sets."""
