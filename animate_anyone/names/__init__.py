"""What names of files and records tell."""
