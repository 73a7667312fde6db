"""Retargeting: the driver's motion with the proportions of the reference's skeleton."""
