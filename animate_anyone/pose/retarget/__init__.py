"""Fitting a driving skeleton to the reference's proportions."""
