"""Training of a LoRA and a ControlNet for aa-mini, whose own weights stay unchanged."""
