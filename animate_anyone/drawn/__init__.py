"""Drawn characters: bodies, clothes, motions and pictures, generated from a seed."""

from ..types import Size

PICTURE_SIZE = Size(128, 128)  # default size of pictures of drawn characters
