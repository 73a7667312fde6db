"""Colours of drawn characters."""

import colorsys

import numpy as np

Colour = tuple[int, int, int]  # RGB, 0..255


def vivid(
    rng: np.random.Generator, saturation: tuple[float, float], value: tuple[float, float]
) -> Colour:
    """Return a random colour of any hue."""
    red, green, blue = colorsys.hsv_to_rgb(
        rng.random(), rng.uniform(*saturation), rng.uniform(*value)
    )
    return int(red * 255), int(green * 255), int(blue * 255)


def jitter(rng: np.random.Generator, colour: Colour, amount: int = 10) -> Colour:
    """Return the colour with every channel changed at random by up to `amount`."""
    moved = np.clip(np.array(colour) + rng.integers(-amount, amount + 1, 3), 0, 255)
    return int(moved[0]), int(moved[1]), int(moved[2])


def darker(colour: Colour, gain: float = 0.72) -> Colour:
    """Return the colour with its channels multiplied by `gain`, 0..1."""
    return int(colour[0] * gain), int(colour[1] * gain), int(colour[2] * gain)


def lighter(colour: Colour, share: float = 0.5) -> Colour:
    """Return the colour mixed with a share of white."""
    red, green, blue = (int(level + (255 - level) * share) for level in colour)
    return red, green, blue
