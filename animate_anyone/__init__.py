"""Animate Anyone: one picture of a character and a driving motion become a video."""
