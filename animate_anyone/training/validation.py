"""Validation while training: held-out pairs are animated, measured and shown.

The loss of a diffusion model shows little: it becomes flat long before the network has learned
anything visible. Better measures are whether the figure takes the driving pose, and how much
closer the result is to the truth than the unchanged reference picture.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch

from ..animate import sampling_of
from ..evaluation.metrics.lpips import installed_lpips
from ..evaluation.pairs import Pair
from ..evaluation.pose_reader import PoseReader
from ..evaluation.validation import validate
from ..media import contact_sheet, to_bytes
from ..types import SAMPLE_FPS
from ..weights.load import Models
from .loop.journal import Journal

STEPS = 8  # of sampling: enough to see


@dataclass(frozen=True)
class Validation:
    """Measures networks on the same pairs at every call; for `Surroundings.validate`."""

    pairs: Callable[[], Iterable[Pair]]
    pose: PoseReader | None = None  # None: poses are not measured

    def __call__(self, models: Models, journal: Journal, step: int) -> dict[str, float]:
        """Return the figures by name, and save pictures of the results in the journal."""
        sampling = replace(sampling_of(models.preset), steps=STEPS, guidance=1.0)
        pairs = list(self.pairs())
        found = validate(models, pairs, sampling, self.pose, installed_lpips())
        sheet = {
            "reference": [to_bytes(pair.reference)[0] for pair in pairs],
            "pose": [pair.poses[-1] for pair in pairs],
            "result": [to_bytes(clip[-1:])[0] for clip in found.frames],
            "truth": [to_bytes(pair.truth[-1:])[0] for pair in pairs],
        }
        journal.picture(step, "samples", contact_sheet(sheet))
        if len(found.frames[0]) > 1:
            shown = torch.cat([pairs[0].truth, found.frames[0]], dim=3)
            journal.clip(step, "clip", to_bytes(shown), pairs[0].fps or float(SAMPLE_FPS))
        values = {
            "psnr": found.psnr,
            "gain_psnr": found.gain_psnr,
            **found.parts,
            **found.further,
        }
        if self.pose is not None:
            values |= {
                "pose_error": found.pose_error,
                "pck": found.pck,
                "gain_pck": found.gain_pck,
            }
        return {f"validation_{name}": value for name, value in values.items()}
