"""The weight sets: one module for each says all that is known of it; `table` lists them."""
