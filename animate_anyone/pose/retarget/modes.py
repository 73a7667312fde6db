"""The ways to fit a driver's bones to the reference's: the one place to add one."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from .bones import KINDS
from .ratios import Ratios

Scales = Callable[[Ratios, float], Ratios]
"""Called as scales(measured, strength) with what was measured of all bones, reference over driver,
and how far to go (0..1); returns the ratios that the driver's bones take."""


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One way to fit."""

    told: str  # what it does, a clause without a full stop: for `--help` and the node's tooltip
    scales: Scales | None  # None: skeletons are not compared, the clip is fitted into the canvas


def _one_for_all(measured: Ratios, strength: float) -> Ratios:
    """Give every bone the global scale, whatever the strength."""
    return replace(measured.weakened(0.0), sources=dict.fromkeys(KINDS, "mode"))


MODES: dict[str, Mode] = {
    "none": Mode(told="the clip is only fitted into the canvas", scales=None),
    "uniform": Mode(told="one scale for all bones", scales=_one_for_all),
    "limb": Mode(
        told="every bone gets the length that the reference asks for", scales=Ratios.weakened
    ),
}
USUAL_MODE = "limb"


def told_modes(between: str = ". ") -> str:
    """Return in one line what each mode does."""
    return between.join(f"{name}: {mode.told}" for name, mode in MODES.items())
