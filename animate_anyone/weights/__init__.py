"""Weight files: recognise them, check that they fit, and load networks from them."""
