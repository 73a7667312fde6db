"""Metrics of clips: changes between consecutive frames, and differences between sets of clips."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from torch import Tensor
from torch.nn import functional

from ...errors import ConfigError, InputError, WeightsError
from .frames import same_clip
from .frechet import frechet_distance
from .network_file import is_sha256_start, verified

__all__ = ["frechet_distance"]  # with all that is defined here

Starts = Literal["apart", "every frame"]  # pieces one after the other, or from every frame on
FvdResize = Literal["bilinear", "pil bicubic"]

# Arguments of the published TorchScript I3D (universome/fvd-comparison). Its input is already
# scaled and resized, and it shall return the features of its last layer but one.
_I3D_OPTIONS = {"rescale": False, "resize": False, "return_features": True}


def flicker(
    result: Tensor,  # (f, 3, H, W), 0..1
    truth: Tensor | None = None,  # (f, 3, H, W), 0..1; None: a still picture
) -> float:
    """Return the error of the changes from frame to frame, in levels of 255.

    It is the mean of |(x[t+1] - x[t]) - (y[t+1] - y[t])|: zero for a constant error, large for
    noise that differs from frame to frame. Without a truth every change counts, motion included.
    """
    result, truth = same_clip(result, torch.zeros_like(result) if truth is None else truth)
    if len(result) < 2:
        raise InputError(f"result got {len(result)} frame; flicker needs 2 frames or more.")
    return float((result.diff(dim=0) - truth.diff(dim=0)).abs().mean() * 255)


def seam_drift(
    result: Tensor,  # (f, 3, H, W), 0..1
    windows: Sequence[Sequence[int]],  # frame numbers of each window, as `Window.frames`
    truth: Tensor | None = None,  # (f, 3, H, W), 0..1; None: steady motion is assumed
) -> float:
    """Return how much more the clip changes where a window begins or ends; 1: as much as elsewhere.

    With c[t] the mean of |x[t+1] - x[t]|, it is the mean of c over the steps that enter or leave a
    window, divided by the mean of c over all other steps. With a truth, this is divided by the same
    ratio of the truth, so that fast motion at a border does not count. Above 1, seams are visible.
    """
    borders = border_steps(windows, len(result))
    at, inside = _mean_changes(result, borders)
    if truth is not None:
        result, truth = same_clip(result, truth)
        true_at, true_inside = _mean_changes(truth, borders)
        if not (true_at and true_inside):
            raise InputError(
                f"truth got a mean change of {true_at:.3g} at borders and {true_inside:.3g} "
                "inside windows; it must move at both. Leave the truth out."
            )
        at, inside = at / true_at, inside / true_inside
    if inside == 0:
        return 1.0 if at == 0 else float("inf")
    return at / inside


def allows_seam_drift(
    truth: Tensor,  # (f, 3, H, W), 0..1
    windows: Sequence[Sequence[int]],  # frame numbers of each window
) -> bool:
    """Return whether `seam_drift` is defined: the truth moves at borders of windows and inside."""
    borders = _borders(windows, len(truth))
    return bool(borders.any() and not borders.all()) and min(_mean_changes(truth, borders)) > 0


def border_steps(
    windows: Sequence[Sequence[int]],  # frame numbers of each window
    frames: int,  # length of the clip
) -> Tensor:  # (f - 1,), bool
    """Return for each step from t to t+1 whether some window has only one of the two frames.

    InputError if this is so for all steps, or for none.
    """
    borders = _borders(windows, frames)
    if borders.all() or not borders.any():
        raise InputError(
            f"windows got {len(windows)} over {frames} frames, which leaves {int(borders.sum())} "
            f"of {len(borders)} steps at a border; some steps must be at a border and some inside. "
            "Measure a clip longer than one window, without strided windows."
        )
    return borders


def _borders(
    windows: Sequence[Sequence[int]],
    frames: int,
) -> Tensor:  # (f - 1,), bool
    member = torch.zeros(len(windows), frames, dtype=torch.bool)
    for row, window in zip(member, windows, strict=True):
        if not all(0 <= frame < frames for frame in window):
            raise InputError(
                f"windows got frames {min(window)} to {max(window)}; the clip has {frames}, "
                "counted from 0. Give the windows with which this clip was made."
            )
        row[list(window)] = True
    return (member[:, 1:] != member[:, :-1]).any(0)


def _mean_changes(
    clip: Tensor,  # (f, 3, H, W)
    borders: Tensor,  # (f - 1,), bool
) -> tuple[float, float]:
    """Return the mean change of a clip at borders and elsewhere."""
    changes = clip.double().diff(dim=0).abs().mean((1, 2, 3))
    return float(changes[borders.to(clip.device)].mean()), float(changes[~borders].mean())


@dataclass(frozen=True, kw_only=True)
class FvdProtocol:
    """All that an FVD depends on besides the clips; compare values only if all fields are equal."""

    frames: int  # length of the network's input clips
    size: int  # side of the square that each frame is resized to, in pixels
    fps: float | None  # rate at which frames are taken; None: every frame
    starts: Starts = "apart"  # where the pieces of a video begin
    resize: FvdResize = "bilinear"
    weights: str | Path  # a TorchScript file, (b, 3, f, size, size) in -1..1 to (b, d)
    sha256: str  # of that file, 64 hexadecimal digits

    def __post_init__(self) -> None:
        for name in ("frames", "size", "fps"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name} got {value}; it must be above 0.")
        if len(self.sha256) != 64 or not is_sha256_start(self.sha256):
            raise ConfigError(
                f"sha256 got {self.sha256!r}; it must be 64 hexadecimal digits. "
                f"`sha256sum {self.weights}` prints them."
            )


def load_fvd_network(protocol: FvdProtocol) -> torch.jit.ScriptModule:
    """Return the protocol's network in evaluation mode, on the CPU.

    TorchScript is a program, so only the file with the protocol's sha256 is opened.
    """
    path = verified(protocol.weights, protocol.sha256, "the network of FVD")
    try:
        return torch.jit.load(str(path), map_location="cpu").eval()
    except RuntimeError as error:
        raise WeightsError(
            f"the network of FVD got the file {path}, which is not TorchScript ({error}). Choose "
            "the exported network, not only its weights."
        ) from error


def count_clips(
    frames: int,
    fps: float,  # of the video
    protocol: FvdProtocol,
) -> int:
    """Return the number of whole clips that a video can be cut into."""
    moments = _moments(frames, fps, protocol)
    if protocol.starts == "every frame":
        return max(0, moments - protocol.frames + 1)
    return moments // protocol.frames


def _moments(frames: int, fps: float, protocol: FvdProtocol) -> int:
    """Return the number of frames that a video has at the protocol's frame rate."""
    if protocol.fps is None:
        return frames
    return int((frames - 1) * protocol.fps / fps + 1e-9) + 1 if frames else 0


def cut_clips(
    video: Tensor,  # (f, 3, H, W), 0..1
    fps: float,  # of the video
    protocol: FvdProtocol,
) -> Tensor:  # (b, 3, protocol.frames, size, size), -1..1
    """Return a video as whole clips at the protocol's rate and size.

    They follow one after the other, and remaining frames at the end are dropped; or one begins at
    every frame. For each moment the nearest earlier frame is taken. Frames are resized not keeping
    their aspect ratio, as in the original FVD; PIL's filter may leave -1..1 a little.
    """
    if protocol.fps is not None and fps < protocol.fps:
        raise InputError(
            f"fps got {fps}; the protocol takes {protocol.fps} frames per second, which would "
            "repeat frames. Give the video at that rate or a higher one."
        )
    count = count_clips(len(video), fps, protocol)
    moments = _moments(len(video), fps, protocol)
    if not count:
        raise InputError(
            f"video got {len(video)} frames at {fps} fps, {moments} at the protocol's; a clip "
            f"needs {protocol.frames}. Give longer videos."
        )
    step = 1 if protocol.starts == "every frame" else protocol.frames
    ratio = 1.0 if protocol.fps is None else fps / protocol.fps
    places = torch.arange((count - 1) * step + protocol.frames, dtype=torch.float64) * ratio
    frames = video.float()[(places + 1e-9).long()]
    frames = _RESIZES[protocol.resize](frames, protocol.size) * 2 - 1
    return rearrange(frames.unfold(0, protocol.frames, step), "b c H W f -> b c f H W")


def _bilinear(frames: Tensor, side: int) -> Tensor:
    return functional.interpolate(frames, (side, side), mode="bilinear", align_corners=False)


def _pil_bicubic(frames: Tensor, side: int) -> Tensor:
    """Resize each channel by PIL in floating point, without rounding or clipping."""
    way = Image.Resampling.BICUBIC
    planes = (frames.cpu() * 255).flatten(0, 1).numpy()
    small = [np.asarray(Image.fromarray(plane).resize((side, side), way)) for plane in planes]
    return torch.from_numpy(np.stack(small)).unflatten(0, frames.shape[:2]) / 255


_RESIZES: dict[FvdResize, Callable[[Tensor, int], Tensor]] = {
    "bilinear": _bilinear,
    "pil bicubic": _pil_bicubic,
}


@torch.no_grad()
def clip_features(
    clips: Tensor,  # (b, 3, f, H, W), -1..1
    network: torch.jit.ScriptModule,
) -> np.ndarray:  # (b, d), float64
    """Return the network's features of each clip."""
    takes = {argument.name for argument in network.forward.schema.arguments}
    options = {name: value for name, value in _I3D_OPTIONS.items() if name in takes}
    features = torch.cat([network(clip[None], **options) for clip in clips])
    if features.ndim != 2:
        raise WeightsError(
            f"the network of FVD gave the shape {tuple(features.shape)}; it must be (clips, d). "
            "Choose a network that ends in features."
        )
    return features.double().numpy()


def fvd_features(
    video: Tensor,  # (f, 3, H, W), 0..1
    fps: float,  # of the video
    opened: tuple[FvdProtocol, torch.jit.ScriptModule] | None,
) -> np.ndarray:  # (pieces, d), float64
    """Return the features of the whole pieces of a video, by the network of FVD."""
    assert opened is not None
    protocol, network = opened
    return clip_features(cut_clips(video, fps, protocol), network)


def check_fvd(
    opened: tuple[FvdProtocol, torch.jit.ScriptModule] | None,  # None: FVD is not measured
    lengths: Iterable[tuple[str, int, float]],  # of every clip: name, frames, frames per second
) -> None:
    """Raise InputError, before anything is computed, for clips that are too few, short or slow."""
    if opened is None:
        return
    rule = opened[0]
    total = 0
    for name, frames, fps in lengths:
        if rule.fps is not None and fps < rule.fps:
            raise InputError(
                f"FVD got the clip {name} at {fps:g} fps; its protocol takes {rule.fps:g} frames "
                "per second. Give clips of that speed or more, or leave --fvd-network out."
            )
        found = count_clips(frames, fps, rule)
        if not found:
            raise InputError(
                f"FVD got the clip {name} with {frames} frames at {fps:g} fps; one of its clips "
                f"has {rule.frames} frames{_rate(rule.fps)}. Measure longer clips, or leave "
                "--fvd-network out."
            )
        total += found
    if total < 2:
        raise InputError(
            f"FVD got {total} clip of {rule.frames} frames; it compares sets of 2 or more, and "
            "is steady from some hundreds on. Measure more clips, or leave --fvd-network out."
        )


def _rate(fps: float | None) -> str:
    return "" if fps is None else f" at {fps:g} fps"
