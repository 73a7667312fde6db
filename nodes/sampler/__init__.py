"""Sampling: the denoiser as a MODEL, windows, and the nodes for it."""
