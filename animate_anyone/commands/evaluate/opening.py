"""Opening what a test of `evaluate` needs, in the command's process or in a worker's."""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...evaluation.metrics.metric import Instruments
    from ...evaluation.protocol import Protocol


def instruments_of(options: argparse.Namespace, protocol: "Protocol") -> "Instruments":
    """Return the networks of the metrics that the options name."""
    from ...evaluation.instruments import open_instruments

    return open_instruments(
        protocol,
        pose=_pose_reader(options, drawn=protocol.drawn),
        lpips_backbone=options.lpips_backbone,
        fvd_network=options.fvd_network,
    )


def identity_of(options: argparse.Namespace, instruments: "Instruments") -> dict[str, Any]:
    """Return what identifies the networks of the metrics: FVD's by the protocol's own hash."""
    from ...evaluation.kept.identity import of_files
    from ...weights.pose_models import chosen_pose_models

    pair = None if instruments.pose is None else (options.detector, options.estimator)
    return {
        "poses": pair and of_files(chosen_pose_models(*pair)),
        "LPIPS": instruments.lpips and instruments.lpips.content,
        "FVD": instruments.fvd is not None,
    }


def tested_of(
    options: argparse.Namespace, protocol: "Protocol"
) -> "tuple[Protocol, dict[str, tuple[Any, Any]]]":
    """Return the protocol with the changes of options and data set, and a record of these."""
    changed: dict[str, tuple[Any, Any]] = {}
    fit = protocol.fit
    if options.data:
        from ...dataset.manifest import ClipDataset

        fit = ClipDataset.open(options.data).manifest.fit
    if fit != protocol.fit:
        changed["fit"] = (protocol.fit, fit)
    if options.frames is not None and options.frames != protocol.frames:
        changed["frames"] = (protocol.frames, options.frames)
    if options.first:
        changed["first"] = (0, options.first)
    for name in ("steps", "cfg", "guidance_interval", "step_cache"):
        if getattr(options, name) is not None and not options.results:
            changed[name.replace("_", " ")] = ("the preset's", getattr(options, name))
    if options.without_motion:
        changed["temporal layers"] = ("the model's", "left out")
    clips = protocol.clips if options.pairs is None else options.pairs
    frames = protocol.frames if options.frames is None else options.frames
    return replace(protocol, clips=clips, frames=frames, fit=fit), changed


def _pose_reader(options: argparse.Namespace, *, drawn: bool) -> Any:  # noqa: ANN401
    """Return the pose reader: of the named pair, aa-mini's for drawn characters, or None."""
    from ...evaluation.pose_reader import PoseReader
    from ...weights.pose_models import open_pose_pair

    named = (options.detector, options.estimator)
    return PoseReader(open_pose_pair(*named)) if drawn or any(named) else None
