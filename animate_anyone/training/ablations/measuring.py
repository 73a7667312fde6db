"""Figures of the rows of the ablation, on held-out characters in patterned clothes."""

from dataclasses import replace
from pathlib import Path

from ...animate import Sampling, sampling_of
from ...evaluation.held_out import patterned_pair
from ...evaluation.instruments import open_instruments
from ...evaluation.kept.folder import Settings, open_rows
from ...evaluation.kept.identity import of_networks
from ...evaluation.kept.row import ClipRow
from ...evaluation.metrics.metric import Instruments
from ...evaluation.pose_reader import PoseReader
from ...evaluation.protocol import load_protocol
from ...evaluation.report import measure_pair, sampling_data
from ...protocols import Look
from ...weights.load import Models
from ...weights.pose_models import open_pose_pair
from .settings import AblationSettings

MEASURED = ("ssim", "psnr", "lpips", "figure_psnr", "iou", "pck")


def open_measures() -> Instruments:
    """Return the networks of the metrics; LPIPS is left out if its package is not installed."""
    protocol = replace(load_protocol("mini"), metrics=MEASURED)
    return open_instruments(protocol, pose=PoseReader(open_pose_pair()))


def measure_row(
    folder: Path,  # of the figures; each character's appear when they are complete
    models: Models,
    settings: AblationSettings,
    instruments: Instruments,
    *,
    baselines: bool = False,  # also measure a copy of the reference, and the decoded truth
    look: Look | None = None,  # called before each character; may raise to interrupt
) -> list[ClipRow]:
    """Measure what is left of a row; return the figures of all characters, in order.

    InputError if the folder holds figures of other weights.
    """
    sampling = replace(sampling_of(models.preset), steps=settings.sampling_steps, guidance=1.0)
    kept = open_rows(folder, _test(models, settings, sampling, instruments, baselines))
    for place in kept.missing:
        if look is not None:
            look()
        row = measure_pair(
            *(models, patterned_pair(place), sampling, instruments),
            place=place,
            baselines=baselines,
        )
        kept.write(row)
    return [kept.read(place) for place in kept.settings.places]


def content_of(models: Models) -> str:
    """Return a hash of the networks."""
    parts = {name: part for name, part in vars(models).items() if name != "preset"}
    return of_networks(models.preset, parts)


def _test(
    models: Models,
    settings: AblationSettings,
    sampling: Sampling,
    instruments: Instruments,
    baselines: bool,
) -> Settings:
    return Settings(
        same={
            "models": content_of(models),
            "sampling": {**sampling_data(sampling), "seed": sampling.seed},
            "lpips": instruments.lpips is not None,
            "baselines": baselines,
        },
        names=[f"patterned {index}" for index in range(settings.pairs)],
        first=0,
        report={},
    )
