"""Pictures through the networks that run before sampling: VAE, image encoder, ReferenceNet,
Pose Guider."""

import logging

from torch import Tensor

from ..animate_anyone.errors import InputError
from ..animate_anyone.types import Size
from . import convert, host
from .sizes import fitting_size
from .sockets import Network, Pose, Reference

CHUNK_FRAMES = 8  # pose pictures in the Pose Guider at once
FEATURE_BYTES = 512 * 2**20  # above this a clip's pose stays pictures until it is needed
KEEP = ("automatic", "features", "pictures")
WORKING_BYTES_PER_PIXEL = 1500  # of ReferenceNet and Pose Guider, generously

log = logging.getLogger(__name__)


def encode_reference(
    image: Tensor,  # IMAGE, one picture
    vae: host.Vae,
    clip_vision: host.ClipVision,
    net: Network,
    width: int,  # pixels; 0 as suits the weights
    height: int,
) -> Reference:
    """Return what the denoiser reads from the picture of a character."""
    frames = convert.image_to_frames(image, "image")
    if len(frames) != 1:
        raise InputError(
            f"image got {len(frames)} pictures; a reference is one picture. Choose it with an "
            "ImageFromBatch node."
        )
    preset = net.preset
    size = fitting_size(Size(width, height), Size(preset.width, preset.height))
    log.info("Reference: %dx%d pixels become %dx%d.", *frames.shape[:1:-1], size.width, size.height)
    picture = convert.resize(frames, size)
    latents = vae.encode(convert.frames_to_image(picture))
    if latents.shape[1] != preset.unet.in_channels:
        raise InputError(
            f"vae got one with {latents.shape[1]} latent channels; {preset.title} needs "
            f"{preset.unet.in_channels}. Connect the VAE that belongs to the weights."
        )
    token = image_token(picture, clip_vision, preset.unet.cross_attention_dim)
    working = WORKING_BYTES_PER_PIXEL * size.width * size.height
    with host.loaded(net.patcher, working) as (device, dtype):
        latents = (latents * preset.latent_scale).to(device, dtype)
        features = net.module.reference_features(latents, token.to(device, dtype))
    kept = host.intermediate_device()
    return Reference(tuple(value.to(kept) for value in features), token.to(kept), preset)


def image_token(
    picture: Tensor,  # (1, 3, H, W), 0..1
    clip_vision: host.ClipVision,
    width: int,  # numbers in a token
) -> Tensor:  # (1, 1, width)
    """Return the projected CLIP embedding of a picture squashed to the encoder's square."""
    square = convert.squash(picture, clip_vision.image_size)
    token = clip_vision.encode_image(square, crop=False).image_embeds
    if token is None or token.shape[-1] != width:
        got = "no embedding" if token is None else f"an embedding of {token.shape[-1]} numbers"
        raise InputError(
            f"clip_vision got a model that gives {got}; these weights need {width}. Connect the "
            "image encoder that belongs to them (for Stable Diffusion 1.5 networks CLIP ViT-L/14 "
            "with projection, of sd-image-variations)."
        )
    return token.float()[:, None]


def encode_pose(
    image: Tensor,  # IMAGE, skeletons on black
    guider: Network,
    width: int,  # pixels; 0 as the pictures are
    height: int,
    keep: str,  # one of KEEP
) -> Pose:
    """Return the driving motion as the denoiser takes it."""
    frames = convert.image_to_frames(image, "image")
    own = Size(frames.shape[3], frames.shape[2])
    size = fitting_size(Size(width, height), own)
    if size != own:
        log.info("Pose: %dx%d pixels become %dx%d.", own.width, own.height, size.width, size.height)
    outputs = guider.preset.pose_guider.out_channels
    feature_bytes = len(frames) * outputs * size.width * size.height // 64 * 2
    if keep == "features" or (keep == "automatic" and feature_bytes <= FEATURE_BYTES):
        return Pose(pose_features(frames, guider, size), None, size, guider)
    chunks = frames.split(CHUNK_FRAMES)
    pictures = [convert.frames_to_bytes(convert.resize(part, size)) for part in chunks]
    return Pose(None, convert.join(pictures), size, guider)


def pose_features(
    frames: Tensor,  # (f, 3, H, W), 0..1
    guider: Network,
    size: Size,
) -> Tensor:  # (f, c, h, w), on the host's intermediate device
    """Return the Pose Guider's features of all frames, computed a few frames at a time."""
    parts, kept = [], host.intermediate_device()
    report, total = host.progress(len(frames)), len(frames)
    working = WORKING_BYTES_PER_PIXEL * size.width * size.height * CHUNK_FRAMES
    with host.loaded(guider.patcher, working) as (device, dtype):
        for chunk in frames.split(CHUNK_FRAMES):
            parts.append(guider.module(convert.resize(chunk, size).to(device, dtype)).to(kept))
            report(min(len(parts) * CHUNK_FRAMES, total), total)
    return convert.join(parts)
