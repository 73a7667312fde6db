"""Find the preset of a weight set: from its metadata, or the known one with the same layout."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

from ..config import MotionConfig, PoseGuiderConfig, Preset, ScheduleConfig, UNetConfig
from ..errors import ConfigError, WeightsError
from .sets.table import get_preset, presets


def nearest_preset(unet: UNetConfig, pose_guider: PoseGuiderConfig | None = None) -> Preset:
    """Return the known preset with the layout of these networks; their widths may differ.

    Layouts are compared by what shapes show: levels, attention, layers, feed-forward and motion
    modules. Among presets of one layout, widths, Pose Guider and motion length decide.
    """
    known = presets()
    candidates = [preset for preset in known.values() if _same_layout(preset.unet, unet)]
    if not candidates:
        raise WeightsError(
            f"UNet with {len(unet.block_out_channels)} levels {unet.block_out_channels}, attention "
            f"{unet.attention_levels}, {unet.layers_per_block} layers a block and feed-forward "
            f"x{unet.ff_mult} has the layout of no preset ({', '.join(known)}). Name a preset, "
            "or use files that carry their configuration (a bundle made by `convert --preset`)."
        )
    return max(candidates, key=lambda preset: _likeness(preset, unet, pose_guider))


def known_preset(unet: UNetConfig, preset: Preset | None = None) -> Preset:
    """Return the preset that supplies what shapes cannot show.

    This is the given preset, or the nearest known one. WeightsError if its layout does not fit.
    """
    if preset is None:
        return nearest_preset(unet)
    if not _same_layout(preset.unet, unet):
        raise WeightsError(
            f"preset got {preset.name!r}, but the UNet with widths {unet.block_out_channels}, "
            f"{unet.layers_per_block} layers a block and feed-forward x{unet.ff_mult} has another "
            "layout. Leave the preset out, or choose the one these files belong to."
        )
    return preset


def detect_preset(
    unet: UNetConfig, pose_guider: PoseGuiderConfig, metadata: Mapping[str, str] | None = None
) -> Preset:
    """Return the preset of a weight set, with the networks exactly as they were found."""
    stored = preset_from_metadata(metadata or {})
    preset = stored or nearest_preset(unet, pose_guider)
    return replace(preset, unet=unet, pose_guider=pose_guider)


def preset_metadata(preset: Preset) -> dict[str, str]:
    """Return safetensors metadata from which `preset_from_metadata` restores the preset."""
    return {
        "preset": preset.name,
        "config": json.dumps(asdict(preset)),
        "licence": preset.licence,
    }


def preset_from_metadata(metadata: Mapping[str, str]) -> Preset | None:
    """Return the preset stored in the metadata of a file of ours; None if there is none."""
    if "config" not in metadata:
        return get_preset(metadata["preset"]) if metadata.get("preset") in presets() else None
    try:
        return _preset(json.loads(metadata["config"]))
    except (ValueError, KeyError, TypeError, ConfigError, RecursionError) as error:
        raise WeightsError(
            f"metadata `config` cannot be read as a preset ({error}); the file was made by another "
            "version. Convert the original files again."
        ) from error


def _preset(data: dict[str, Any]) -> Preset:
    unet = dict(data["unet"])
    motion = unet["motion"]
    unet["motion"] = _record(MotionConfig, motion) if motion else None
    return _record(
        Preset,
        data
        | {
            "unet": _record(UNetConfig, unet),
            "pose_guider": _record(PoseGuiderConfig, data["pose_guider"]),
            "schedule": _record(ScheduleConfig, data["schedule"]),
        },
    )


def _record(kind: type, values: Mapping[str, Any]) -> Any:  # noqa: ANN401  (an instance of kind)
    """Return a dataclass filled from JSON; lists become tuples."""
    unknown = set(values) - {field.name for field in fields(kind)}
    if unknown:
        raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    return kind(
        **{key: tuple(item) if isinstance(item, list) else item for key, item in values.items()}
    )


def _same_layout(known: UNetConfig, found: UNetConfig) -> bool:
    same = (
        known.attention_levels == found.attention_levels
        and known.layers_per_block == found.layers_per_block
        and known.ff_mult == found.ff_mult
    )
    divides = not any(
        channels % known.heads or channels % known.norm_groups
        for channels in found.block_out_channels
    )
    return same and divides and _same_motion(known.motion, found.motion)


def _same_motion(known: MotionConfig | None, found: MotionConfig | None) -> bool:
    if known is None or found is None:
        return True
    return (known.attention_blocks, known.ff_mult) == (found.attention_blocks, found.ff_mult)


def _likeness(
    preset: Preset, unet: UNetConfig, pose_guider: PoseGuiderConfig | None
) -> tuple[bool, ...]:
    """Return a sort key, the most important match first; `max` keeps the first of equals."""
    known, motion = preset.unet, unet.motion
    guider = preset.pose_guider
    return (
        known.block_out_channels == unet.block_out_channels,
        pose_guider is not None and guider.form == pose_guider.form,
        bool(motion and known.motion and motion.max_frames == known.motion.max_frames),
        pose_guider is not None and guider.channels == pose_guider.channels,
    )
