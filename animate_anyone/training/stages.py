"""Set up a stage of training from the user's files and folders."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import ConfigError
from ..evaluation.pose_reader import PoseReader
from ..protocols import Autoencoder, ImageEncoder
from ..weights.encoders import load_autoencoder, load_image_encoder
from ..weights.pose_models import open_pose_pair
from ..weights.read import read_weights
from ..weights.sets.table import get_preset
from . import initial
from .config import TrainingConfig
from .loop.checks import CONTENT
from .loop.devices import training_device
from .loop.trainer import Surroundings
from .networks import AnimateNetworks, has_stage1, load_stage1
from .sources.batch import Source
from .sources.find import ValidationSize, kind_of
from .trained import own_autoencoder
from .validation import Validation

VALIDATION_PAIRS = {1: 8, 2: 2}  # by stage
CLIP_FRAMES = 12  # of a validation clip in stage 2


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Files and folders that a user names for a stage; None: not used, or the default."""

    folder: Path  # of the run
    data: Path | None = None  # for a source of examples; None: drawn characters in `folder`
    vae: Path | None = None
    image_encoder: Path | None = None
    detector: Path | None = None  # of poses in validation, with the estimator
    estimator: Path | None = None
    models: str | Path | None = None  # a whole weight set to start from
    stable_diffusion: Path | None = None
    animatediff: Path | None = None
    controlnet_hint: Path | None = None


def source_of(choices: Choices, config: TrainingConfig) -> Source:
    """Open the examples with the first kind of source that recognises `data`."""
    return kind_of(choices).opens(choices, config)


def surroundings_of(choices: Choices, config: TrainingConfig) -> Surroundings:
    """Return the frozen networks, starting weights and validation that the choices name."""
    device = training_device()
    half = device.type != "cpu" and config.mixed_precision == "bf16"
    dtype = torch.bfloat16 if half else torch.float32
    scale = get_preset(config.preset).latent_scale
    autoencoder: Autoencoder | None = None
    if choices.vae is not None:
        autoencoder = load_autoencoder(read_weights(choices.vae), scale, dtype, device)
    else:
        autoencoder = own_autoencoder(choices.folder, scale, dtype, device)
    image_encoder: ImageEncoder | None = None
    if choices.image_encoder is not None:
        _check_own_encoder(choices, config)
        image_encoder = load_image_encoder(read_weights(choices.image_encoder), dtype, device)
    if config.validate_every:
        _check_validation(config, autoencoder, image_encoder)
    return Surroundings(
        autoencoder=autoencoder,
        image_encoder=image_encoder,
        start=start_of(choices, config),
        origin=_origin(choices),
        validate=_validation(choices, config) if config.validate_every else None,
    )


def _origin(choices: Choices) -> dict[str, str]:
    """Return the data and the starting weights by name, as checkpoints record them."""
    origins = {
        "data": choices.data,
        "weights": choices.models,  # the name in the checkpoints of earlier versions
        "stable_diffusion": choices.stable_diffusion,
        "animatediff": choices.animatediff,
        "controlnet_hint": choices.controlnet_hint,
    }
    named = {name: value for name, value in origins.items() if value is not None}
    paths = {name: Path(value).resolve() for name, value in named.items()}
    known = {name: str(path if path.exists() else named[name]) for name, path in paths.items()}
    content = kind_of(choices).content(choices)
    hashed = {CONTENT: content} if content else {}
    return {"data": "drawn characters", **known, **hashed}


def _check_own_encoder(choices: Choices, config: TrainingConfig) -> None:
    """Raise ConfigError for a frozen image encoder beside one that the run trains."""
    if config.train_image_encoder:
        raise ConfigError(
            f"image_encoder got {choices.image_encoder}, but train_image_encoder is true: the run "
            "trains an image encoder of its own, and validation would use another. Leave it out, "
            "or set train_image_encoder to false with --config."
        )


def _check_validation(
    config: TrainingConfig, autoencoder: Autoencoder | None, image_encoder: ImageEncoder | None
) -> None:
    """Raise ConfigError now for what would fail at the first validation, hours later."""
    missing = "vae" if autoencoder is None else ""
    if image_encoder is None and not config.train_image_encoder:
        missing = " and ".join(filter(None, (missing, "image_encoder")))
    if missing:
        raise ConfigError(
            f"validate_every got {config.validate_every} without {missing}; no samples can be "
            "made. Name the files, or set validate_every to 0 with --config."
        )


def start_of(choices: Choices, config: TrainingConfig) -> Callable[[AnimateNetworks], None] | None:
    """Return a function that loads a new run's first weights; None: random, or stage 1's."""
    published = (choices.stable_diffusion, choices.animatediff, choices.controlnet_hint)
    if choices.models is not None and any(published):
        raise ConfigError(
            f"models got {choices.models} together with other starting weights; a weight set "
            "already has all networks. Name the weight set, or only the other files."
        )
    if choices.models is None and not any(published):
        return None

    for name in ("stable_diffusion", "controlnet_hint"):
        if config.stage == 2 and getattr(choices, name) and has_stage1(choices.folder):
            raise ConfigError(
                f"{name} got {getattr(choices, name)} for stage 2, but it would replace the "
                f"weights that stage 1 has trained in {choices.folder}. Leave it out, or choose a "
                "new folder."
            )

    def start(networks: AnimateNetworks) -> None:
        if config.stage == 2 and choices.models is None and choices.stable_diffusion is None:
            load_stage1(networks, choices.folder)
        if choices.models is not None:
            initial.from_bundle(
                networks.denoiser,
                networks.reference_net,
                networks.pose_guider,
                choices.models,
                image_encoder=networks.image_encoder,
            )
            # If stage 1 was trained from this weight set, its results replace the set's weights.
            if config.stage == 2 and has_stage1(choices.folder):
                load_stage1(networks, choices.folder)
        if choices.stable_diffusion is not None:
            initial.from_stable_diffusion(
                networks.denoiser, networks.reference_net, choices.stable_diffusion
            )
            generator = torch.Generator().manual_seed(config.seed)
            initial.gaussian_pose_guider(networks.pose_guider, generator)
        if choices.animatediff is not None:
            initial.from_animatediff(networks.denoiser, choices.animatediff)
        if choices.controlnet_hint is not None:
            initial.from_controlnet_hint(networks.pose_guider, choices.controlnet_hint)

    return start


def _validation(choices: Choices, config: TrainingConfig) -> Validation:
    kind = kind_of(choices)
    if kind.pairs is None:
        raise ConfigError(
            f"validate_every got {config.validate_every}; {kind.title} gives no clips to validate "
            "with. Set validate_every to 0 with --config."
        )
    pose: PoseReader | None = None
    named = (choices.detector, choices.estimator)
    if kind.drawn or any(named):
        pose = PoseReader(open_pose_pair(*named))
    frames = 1 if config.stage == 1 else min(CLIP_FRAMES, config.frames)
    size = ValidationSize(count=VALIDATION_PAIRS[config.stage], frames=frames)
    return Validation(kind.pairs(choices, config, size), pose)
