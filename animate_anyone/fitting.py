"""Scale and offset that fit a canvas into another size: scaled evenly, and centred."""

from typing import Literal, get_args

from .errors import InputError
from .types import Size

Fit = Literal["pad", "crop"]  # pad: the whole picture; crop: fill the size
FITS: tuple[Fit, ...] = get_args(Fit)


def placement(canvas: Size, size: Size, fit: Fit = "pad") -> tuple[float, float, float]:
    """Return the scale that fits a canvas into a size, and x and y of its upper left corner there.

    Raises InputError for an unknown fit.
    """
    if fit not in FITS:
        raise InputError(f"fit got {fit!r}; it must be one of {', '.join(FITS)}. Choose pad.")
    ways = size.width / canvas.width, size.height / canvas.height
    scale = min(ways) if fit == "pad" else max(ways)
    return (
        scale,
        (size.width - canvas.width * scale) / 2,
        (size.height - canvas.height * scale) / 2,
    )
