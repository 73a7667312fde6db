"""What metrics look through: networks from named files, opened as a protocol says."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from torch.jit import ScriptModule

from ..errors import InputError
from ..fitting import Fit
from ..types import Size
from .metrics.lpips import BACKBONES, LpipsNetwork, load_lpips
from .metrics.table import METRICS
from .metrics.video import FvdProtocol, count_clips, load_fvd_network
from .pose_reader import PoseReader
from .protocol import Protocol

_WAYS_OUT = {
    "lpips": "--lpips-backbone FILE was not given. Fetch "
    "https://download.pytorch.org/models/{backbone}, and name it.",
    "fvd": "--fvd-network FILE was not given. Fetch i3d_torchscript.pt (universome/fvd-comparison "
    "tells where; its sha256 begins with {sha256}), and name it.",
    "pose": "--pose-models DETECTOR ESTIMATOR was not given, and aa-mini's own pair knows drawn "
    "characters alone. `python -m animate_anyone download dwpose` fetches a pair for people.",
}


@dataclass(frozen=True, kw_only=True)
class Instruments:
    """The networks that there are, and how frames are compared; None: not measured."""

    metrics: tuple[str, ...] = tuple(METRICS)  # which figures are wanted, in the table's order
    pose: PoseReader | None = None
    lpips: LpipsNetwork | None = None
    fvd: tuple[FvdProtocol, ScriptModule] | None = None
    pck_threshold: float = 0.1  # torso lengths
    size: Size | None = None  # at which clips are compared; None: at their own
    fit: Fit = "pad"  # how they get there


def open_instruments(
    protocol: Protocol,
    *,
    pose: PoseReader | None = None,
    lpips_backbone: Path | None = None,  # torchvision's file
    fvd_network: Path | None = None,  # TorchScript
) -> Instruments:
    """Return the instruments that a protocol asks for and whose files are named.

    WeightsError for a file that is not there, damaged, or not the one that the protocol names.
    """
    wanted = Instruments(
        metrics=protocol.metrics,
        pose=pose,
        pck_threshold=protocol.pck_threshold,
        size=protocol.size,
        fit=protocol.fit,
    )
    if lpips_backbone is not None:
        rule = protocol.lpips
        wanted = replace(wanted, lpips=load_lpips(lpips_backbone, rule.net, rule.sha256))
    if fvd_network is not None:
        rule = protocol.fvd
        record = FvdProtocol(
            frames=rule.frames,
            size=rule.size,
            fps=rule.fps,
            weights=fvd_network,
            sha256=rule.sha256,
        )
        wanted = replace(wanted, fvd=(record, load_fvd_network(record)))
    return wanted


def absent(instruments: Instruments, protocol: Protocol) -> dict[str, str]:
    """Return for each figure of a protocol that cannot be measured why, and the way out."""
    backbone = BACKBONES[protocol.lpips.net]
    words = {
        "backbone": f"{backbone.published}-{backbone.sha256}.pth",
        "sha256": protocol.fvd.sha256[:16],
    }
    return {
        metric: _WAYS_OUT[needs].format(**words)
        for metric in protocol.metrics
        if (needs := METRICS[metric].needs) and getattr(instruments, needs) is None
    }


def check_fvd(
    instruments: Instruments,
    lengths: Iterable[tuple[str, int, float]],  # of every clip: name, frames, frames per second
) -> None:
    """Refuse, before anything is computed, clips from which FVD would have too few."""
    if instruments.fvd is None:
        return
    rule = instruments.fvd[0]
    total = 0
    for name, frames, fps in lengths:
        if fps < rule.fps:
            raise InputError(
                f"FVD got the clip {name} at {fps:g} fps; its protocol takes {rule.fps:g} frames "
                "per second. Give clips of that speed or more, or leave --fvd-network out."
            )
        found = count_clips(frames, fps, rule)
        if not found:
            raise InputError(
                f"FVD got the clip {name} with {frames} frames at {fps:g} fps; one of its clips "
                f"has {rule.frames} frames at {rule.fps:g} fps. Measure longer clips, or leave "
                "--fvd-network out."
            )
        total += found
    if total < 2:
        raise InputError(
            f"FVD got {total} clip of {rule.frames} frames; it compares sets of 2 or more, and "
            "is steady from some hundreds on. Measure more clips, or leave --fvd-network out."
        )
