"""What one video is made of: its reference and pose, and how much they count at a step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...animate_anyone.config import UNetConfig
from ...animate_anyone.diffusion.strength import Strength
from ...animate_anyone.errors import InputError
from ...animate_anyone.networks.call_memory import reference_values
from ..comfyui import convert
from ..comfyui.sockets import Pose, Reference


@dataclass(frozen=True, eq=False)
class Scene:
    """The inputs of one video; both halves of a guidance pair hold the same record."""

    reference: Reference
    pose: Pose
    pose_strength: Strength = Strength(of="pose")  # noqa: RUF009  (a frozen record)
    reference_strength: Strength = Strength(of="reference")  # noqa: RUF009  (as above)
    places: Tensor | None = None  # (f, h, w) the person of each; None: one character


@dataclass(frozen=True)
class SceneRows:
    """A scene, and which rows of a call attend to its reference picture."""

    scene: Scene
    attends: tuple[bool, ...]
    area: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class SceneCondition:
    """A scene as one of the host's conditions: the host compares, joins and crops it."""

    rows: SceneRows

    def process_cond(self, batch_size: int, area: Any = None, **_: Any) -> "SceneCondition":
        """Return the condition cropped to an area."""
        area = None if area is None else tuple(area)
        return SceneCondition(SceneRows(self.rows.scene, self.rows.attends, area))

    def can_concat(self, other: "SceneCondition") -> bool:
        """Return whether both can run in one call: same scene and same area."""
        return self.rows.scene is other.rows.scene and self.rows.area == other.rows.area

    def concat(self, others: Sequence["SceneCondition"]) -> SceneRows:
        """Return the rows of this condition and the others, for one call."""
        flags = [self.rows.attends, *(other.rows.attends for other in others)]
        return SceneRows(self.rows.scene, sum(flags, ()), self.rows.area)

    def size(self) -> list[int]:
        """Return a shape whose area stands for the memory that the host does not know of."""
        return [reference_area(self.rows.scene) if any(self.rows.attends) else 0]


def places_of(reference: Reference, pose: Pose) -> Tensor | None:  # (f, h, w)
    """Return the person of every place; None for one character. InputError for other lengths."""
    from ...animate_anyone.animate.persons import places_of, regions_of

    if reference.persons is None:
        return None
    if len(reference.persons) != len(pose):
        raise InputError(
            f"reference got keypoints of {len(reference.persons)} frames, the pose has "
            f"{len(pose)}; they must agree. Connect the keypoints that are drawn for the pose."
        )
    return places_of(regions_of(reference.persons, pose.size))


def places_at(
    rows: SceneRows | None,
    frames: Sequence[int],  # of this call
) -> Tensor | None:  # (1, f, h, w)
    """Return the person of every place in these frames, cropped like the latents."""
    if rows is None or rows.scene.places is None:
        return None
    places = convert.take_frames(rows.scene.places, frames)
    return convert.crop(places[:, None], rows.area)[None, :, 0]


def strengths_at(
    rows: SceneRows | None,
    options: Mapping[str, Any],  # the host's transformer options of this call
) -> tuple[float, float]:
    """Return how much pose and reference count in a call of the model.

    Shares of a run are shares of its steps, as in the command line. A call between two steps
    belongs to the first of them. Outside a sampling run there are no steps.
    """
    if rows is None:
        return 1.0, 1.0
    strengths = (rows.scene.pose_strength, rows.scene.reference_strength)
    sigmas = options.get("sample_sigmas")
    if all(strength.usual for strength in strengths) or sigmas is None:
        posed, seen = (strength.value for strength in strengths)
        return posed, seen
    total, step = len(sigmas) - 1, convert.step_at(sigmas, options["sigmas"])
    for strength in strengths:
        strength.check(total)
    posed, seen = (strength.at(step, total) for strength in strengths)
    return posed, seen


def usage_factor(unet: UNetConfig) -> float:
    """Return memory relative to the host's estimate for SD 1.5; it grows with the first width."""
    return unet.block_out_channels[0] / 320


def reference_area(scene: Scene) -> int:
    """Return the latent area that needs as much memory as the reference pictures after the first.

    The host takes 0.01 MB for a place of SD 1.5's latents and a byte of a number.
    """
    unet = scene.reference.preset.unet
    frames = (
        len(scene.pose) if unet.motion is None else min(len(scene.pose), unet.motion.max_frames)
    )
    seen = [one for one in scene.reference.pictures if one.strength]
    more = seen[1:]
    if scene.places is not None:
        more += 2 * seen  # for each person a frame's own keys and the person's, a second time
    values = sum(reference_values(unet, one.features[0].shape[1], frames) for one in more)
    return round(values / (0.01 * 2**20 * usage_factor(unet)))
