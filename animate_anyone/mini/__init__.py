"""How aa-mini is made: its autoencoder, pose pair, LoRA and ControlNet."""
