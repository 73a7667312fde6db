"""Sizes that the networks can take."""

from ..animate_anyone.errors import InputError
from ..animate_anyone.types import Size

STEP = 8  # pixels in a latent cell
SMALLEST = 16  # pixels: two latent cells


def fitting_size(
    wanted: Size,  # 0 where nothing is wanted
    own: Size,
) -> Size:
    """Return the wanted size, or the own one, in multiples of 8 pixels.

    With one wanted side the other follows the own shape.
    """
    width, height = wanted.width, wanted.height
    if not width:
        width = own.width * (height or own.height) / own.height
    if not height:
        height = own.height * (wanted.width or own.width) / own.width
    size = Size(*(round(side / STEP) * STEP for side in (width, height)))
    if min(size.width, size.height) < SMALLEST:
        raise InputError(
            f"size got {size.width}x{size.height} pixels; both sides must be {SMALLEST} or more. "
            "Set width and height."
        )
    return size
