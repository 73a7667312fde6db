"""Networks that turn pictures into latents and back, and into one token."""
