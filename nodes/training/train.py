"""Work of the Train node: examples from the graph, the core's training, networks for the graph.

The host runs nodes in inference mode, whose tensors cannot be trained; `host.training` ends it.
"""

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...animate_anyone.config import Preset
from ...animate_anyone.errors import AnimateAnyoneError, InputError
from ...animate_anyone.places import check_folder, check_place
from ...animate_anyone.types import Size
from ...animate_anyone.weights.sets.aa_mini import AA_MINI
from ...animate_anyone.weights.sources import WeightPaths
from ..comfyui import convert, folders, host, looks
from ..comfyui.sockets import Network
from ..models.encode import fitting_size, image_token, latents_of
from ..models.load import DETECT, denoiser_of, load_pose_guider, load_reference_net, source_of

if TYPE_CHECKING:
    from ...animate_anyone.training.config import TrainingConfig
    from ...animate_anyone.training.sources.batch import Source as Examples

NO_DATA_SET = "(none)"
MANIFEST = "manifest.json"  # in a prepared data set
GO_ON, AGAIN = "go on", "begin again"
IF_EXISTS = (GO_ON, AGAIN)
PRECISIONS = {"automatic": None, "fp32": "no", "bf16": "bf16"}
NAME = re.compile(r"\w[\w .+-]*")  # of a run: one that is a file name everywhere


class Material(NamedTuple):
    """The training data, and the encoders for it."""

    frames: Tensor | None  # IMAGE
    poses: Tensor | None  # IMAGE
    data_set: str
    vae: host.Vae
    clip_vision: host.ClipVision


class HostAutoencoder:
    """The host's VAE as the core's autoencoder; its latents can be used in training."""

    def __init__(self, vae: host.Vae, preset: Preset) -> None:
        self.vae, self.preset = vae, preset

    def encode(
        self,
        frames: Tensor,  # (f, 3, H, W), 0..1
    ) -> Tensor:  # (f, c, H/8, W/8)
        """Return the latents in the denoiser's scale."""
        with torch.inference_mode():  # the host's weights may be inference tensors
            latents = latents_of(frames, self.vae, self.preset).to(frames.device).float()
        return latents.clone()

    def decode(
        self,
        latents: Tensor,  # (f, c, h, w)
    ) -> Tensor:  # (f, 3, 8h, 8w), 0..1
        """Return the pictures of latents in the denoiser's scale."""
        with torch.inference_mode():
            image = looks.decode(self.vae, convert.to_vae_scale(latents, self.preset.latent_scale))
            frames = convert.image_to_frames(image, "vae").to(latents.device)
        return frames.clone()


class HostImageEncoder:
    """The host's CLIP vision model as the core's image encoder."""

    def __init__(self, clip_vision: host.ClipVision, preset: Preset) -> None:
        self.clip_vision, self.width = clip_vision, preset.unet.cross_attention_dim

    def encode(
        self,
        picture: Tensor,  # (1, 3, H, W), 0..1
    ) -> Tensor:  # (1, 1, d)
        """Return the image token."""
        with torch.inference_mode():
            token = image_token(picture, self.clip_vision, self.width).to(picture.device)
        return token.clone()


def data_sets() -> list[str]:
    """Return the choices of the input `data_set`."""
    return [NO_DATA_SET, *folders.input_folders(MANIFEST)]


def train(
    preset: str,
    files: dict[str, str],  # by slot, as Load Models takes them
    settings: dict[str, Any],  # fields of TrainingConfig
    material: Material,
    save_as: str,
    if_exists: str,
    precision: str,
    dtype: str,  # of the networks that are returned
) -> tuple[host.ModelPatcher, Network, Network, str]:
    """Return denoiser, ReferenceNet and Pose Guider after training, and a report."""
    from ...animate_anyone.training.fine_tune import Start, claim, fine_tune, fine_tune_config
    from ...animate_anyone.training.loop.looks import wait_for_files
    from ...animate_anyone.training.loop.trainer import Surroundings

    wait_for_files(host.check_interrupt)
    folder, target = _run_paths(save_as)
    source = source_of(preset, files)
    if target in (vars(source).values() if isinstance(source, WeightPaths) else (source,)):
        raise InputError(
            f"save_as got {save_as!r}, which is the file to start from; choose another name."
        )
    start = Start.open(source, None if preset in (DETECT, AA_MINI.name) else preset)
    encoders = (
        HostAutoencoder(material.vae, start.preset),
        HostImageEncoder(material.clip_vision, start.preset),
    )
    clip = _clip(material)
    settings["mixed_precision"] = PRECISIONS[precision] or host.training_precision()
    available = None if clip is None else len(clip[0])
    config = fine_tune_config(start.preset, **settings, available=available)
    lora = folders.download_folder("loras") / target.name if config.lora else None
    _require_room(start.preset, config, clip, material.data_set)
    facts = {"start": _file_names(source), "material": _fingerprint(clip, material.data_set)}
    claim(folder, target, config, facts, again=if_exists == AGAIN, lora=lora)
    examples = _examples(clip, material, encoders)
    surroundings = Surroundings(
        autoencoder=encoders[0],
        image_encoder=encoders[1],
        cpu=host.on_cpu(),
        progress=host.progress(config.steps),
        look=host.check_interrupt,
    )
    with host.training():
        outcome = fine_tune(start, config, examples, folder, target, surroundings, lora)
    return (*_loaded(target, dtype), f"{outcome.text()}\nThe run is kept in {folder}.")


def _require_room(
    preset: Preset,
    config: "TrainingConfig",
    clip: tuple[np.ndarray, np.ndarray] | None,  # None: the data set
    data_set: str,
) -> None:
    """Raise InputError for a run that can never fit, before its folder is claimed."""
    from ...animate_anyone.dataset.manifest import ClipDataset
    from ...animate_anyone.training.config import scheduled
    from ...animate_anyone.training.loop.devices import training_device
    from ...animate_anyone.training.room import require_room_to_train

    if clip is None:
        size = ClipDataset.open(folders.input_path(data_set)).size
    else:
        size = Size(clip[0].shape[2], clip[0].shape[1])
    device = torch.device("cpu") if host.on_cpu() else training_device()
    require_room_to_train(scheduled(preset, config), config, size, device=device)


def _run_paths(save_as: str) -> tuple[Path, Path]:
    """Return the folder of a run and the weight file that it writes."""
    if not NAME.fullmatch(save_as) or save_as.endswith((" ", ".")):
        raise InputError(
            f"save_as got {save_as!r}; it is the name of a file, without a folder and without an "
            "ending: letters, digits, spaces and _ . + -, a letter or digit first."
        )
    return folders.runs_folder() / save_as, folders.model_folder() / f"{save_as}.safetensors"


def save_fault(
    save_as: object,  # the input; None if it comes over a link
) -> bool | str:
    """Return True, or why no run can be saved as this; for the host's check before all nodes."""
    if not isinstance(save_as, str):
        return True
    try:
        folder, target = _run_paths(save_as)
        check_folder(folder.parent)
        check_place(target)
    except AnimateAnyoneError as error:
        return str(error)
    return True


def _clip(material: Material) -> tuple[np.ndarray, np.ndarray] | None:
    """Return frames and skeletons, (f, H, W, 3) uint8, fitted to multiples of 8 pixels.

    None if a data set is chosen; InputError unless there is either a clip or a data set.
    """
    from ...animate_anyone.media import fit_picture, to_bytes
    from ...animate_anyone.training.sources.own_clip import check_clip

    frames, poses = material.frames, material.poses
    if material.data_set != NO_DATA_SET:
        if frames is not None or poses is not None:
            raise InputError(
                f"data_set got {material.data_set!r}, but frames or poses are connected too; "
                f"disconnect them, or set data_set to {NO_DATA_SET}."
            )
        return None
    if frames is None or poses is None:
        absent = "poses" if frames is not None else "frames"
        raise InputError(
            f"{absent} got nothing; connect a clip to frames and its skeletons, from Draw Pose, "
            "to poses, or choose a data_set."
        )
    pixels = [
        convert.image_to_frames(frames, "frames"),
        convert.image_to_frames(poses, "poses", "black"),
    ]
    check_clip(*map(to_bytes, pixels))
    size = fitting_size(Size(0, 0), convert.image_size(frames))
    fitted = [to_bytes(fit_picture(each, size)) for each in pixels]
    return fitted[0], fitted[1]


def _examples(
    clip: tuple[np.ndarray, np.ndarray] | None,
    material: Material,
    encoders: tuple[HostAutoencoder, HostImageEncoder],
) -> "Examples":
    from ...animate_anyone.dataset.manifest import ClipDataset
    from ...animate_anyone.training.sources.own_clip import OwnClip
    from ...animate_anyone.training.sources.prepared import ClipSource

    if clip is not None:
        return OwnClip.encoded(*clip, *encoders, host.progress(len(clip[0])))
    dataset = ClipDataset.open(folders.input_path(material.data_set))
    return ClipSource(dataset, image_side=material.clip_vision.image_size)


def _loaded(target: Path, dtype: str) -> tuple[host.ModelPatcher, Network, Network]:
    """Return the networks of a weight set, as from Load Models."""
    from ...animate_anyone.training.fine_tune import Start

    trained = Start.open(target)
    parts = trained.parts.watched(lambda done, total: host.check_interrupt())
    preset = trained.preset
    return (
        denoiser_of(parts, preset, dtype, (target, None, dtype)),
        load_reference_net(parts, preset, dtype),
        load_pose_guider(parts, preset, dtype),
    )


def _file_names(source: str | Path | WeightPaths | tuple[str | Path, ...]) -> str:
    """Return the files of a weight set as one text."""
    if isinstance(source, WeightPaths):
        return ", ".join(str(path) for path in vars(source).values() if path)
    return ", ".join(map(str, source)) if isinstance(source, tuple) else str(source)


def _fingerprint(clip: tuple[np.ndarray, np.ndarray] | None, data_set: str) -> str:
    """Return a text that differs for different training data."""
    if clip is None:
        return f"data set {data_set}"
    digest = hashlib.sha256()
    for part in clip:
        digest.update(part.tobytes())
    return f"a clip of {len(clip[0])} frames with hash {digest.hexdigest()[:12]}"
