"""Drawn characters: bodies, clothes, motions and their pictures, all from a seed."""
