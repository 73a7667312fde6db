"""Networks that turn pictures into latents and back."""
