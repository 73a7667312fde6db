"""`animate --jobs`: many clips by one command."""
