"""Drawn characters: bodies, clothes, motions and their pictures, all from a seed."""

from ..types import Size

PICTURE_SIZE = Size(128, 128)  # of drawn characters, where nothing else is asked for
