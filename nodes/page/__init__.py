"""What the page asks for and is told."""
