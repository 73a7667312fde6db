"""A real ComfyUI server: hand-made prompts, the page's routes, interrupts, and many prompts."""
