"""Noise schedule, samplers, guidance and temporal windows; none of them knows a network."""
