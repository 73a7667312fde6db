"""The retarget modes; to add one, add an entry to MODES."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from .bones import KINDS
from .ratios import Ratios

Scales = Callable[[Ratios, float], Ratios]
"""Called as scales(measured, strength) with the measured ratios, reference over driver, and the
strength (0..1); returns the ratios by which the driver's bones are scaled."""


@dataclass(frozen=True, kw_only=True)
class Mode:
    """One way to scale the driver's bones."""

    summary: str  # what it does, a clause without a full stop: for `--help` and the node's tooltip
    scales: Scales | None  # None: skeletons are not compared, only the canvas is fitted


def _one_for_all(measured: Ratios, strength: float) -> Ratios:
    """Return the global scale for every bone; the strength has no effect."""
    return replace(measured.weakened(0.0), sources=dict.fromkeys(KINDS, "mode"))


MODES: dict[str, Mode] = {
    "none": Mode(summary="the clip is only fitted into the canvas", scales=None),
    "uniform": Mode(summary="one scale for all bones", scales=_one_for_all),
    "limb": Mode(
        summary="every bone gets the length measured in the reference", scales=Ratios.weakened
    ),
}
USUAL_MODE = "limb"


def describe_modes(between: str = ". ") -> str:
    """Return one line that describes all modes."""
    return between.join(f"{name}: {mode.summary}" for name, mode in MODES.items())
