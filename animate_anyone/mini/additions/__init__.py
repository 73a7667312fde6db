"""What is trained on top of aa-mini without changing it: a LoRA and a ControlNet."""
