"""What a campaign is asked for."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Order:
    """The choices that all kinds of abuse share."""

    folder: Path  # empty; removed afterwards
    seed: int  # the same seed does the same damage
    short: bool  # a few attempts instead of all
    host: str | None = None  # version of the only ComfyUI to use; None: all that are found
    results: Path | None = None  # folder for what a kind has done so far, if it can go on
    minutes: float | None = None  # after which such a kind stops; None: it runs to its end
