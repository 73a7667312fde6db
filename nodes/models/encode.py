"""Running the networks that come before sampling: VAE, image encoder, ReferenceNet, Pose Guider."""

import logging
from collections.abc import Iterable, Iterator

from comfy_api.input import VideoInput
from torch import Tensor

from ...animate_anyone.config import Preset
from ...animate_anyone.errors import InputError
from ...animate_anyone.types import Size
from ..clips.read import driving_clip, in_chunks
from ..comfyui import convert, host
from ..comfyui.sockets import Network, Pose, Reference

CHUNK_FRAMES = 8  # pose pictures in the Pose Guider at once
FEATURE_BYTES = 512 * 2**20  # a pose with more is kept as pictures; see `KEEP`
KEEP = ("automatic", "features", "pictures")
WORKING_BYTES_PER_PIXEL = 1500  # upper estimate for ReferenceNet and Pose Guider

log = logging.getLogger(__name__)


def fitting_size(
    wanted: Size,  # a side of 0 is open
    own: Size,  # of the picture or clip
) -> Size:
    """Return the wanted size, or the own size if both sides are open, in multiples of 8 pixels.

    If one side is open, it follows from the aspect ratio of the own size.
    """
    from ...animate_anyone.animate import snap_size

    width = wanted.width or own.width * (wanted.height or own.height) / own.height
    height = wanted.height or own.height * (wanted.width or own.width) / own.width
    size = snap_size(Size(round(width), round(height)))
    if size != own:
        sides = (own.width, own.height, size.width, size.height)
        log.info("Size: %dx%d becomes %dx%d pixels.", *sides)
    return size


def encode_reference(
    image: Tensor,  # IMAGE, one picture
    vae: host.Vae,
    clip_vision: host.ClipVision,
    net: Network,
    size: Size,  # pixels; a side of 0 is chosen by the weights
    mask: Tensor | None = None,  # MASK: 1 where the picture is transparent
) -> Reference:
    """Return ReferenceNet's features and the image token of a character's picture."""
    from ...animate_anyone.media import fit_picture

    picture = convert.image_to_frames(convert.with_mask(image, mask, "image"), "image")
    if len(picture) != 1:
        raise InputError(
            f"image got {len(picture)} pictures; a reference is one picture. Choose it with an "
            "ImageFromBatch node."
        )
    preset = net.preset
    size = fitting_size(size, Size(preset.width, preset.height))
    token = image_token(picture, clip_vision, preset.unet.cross_attention_dim)
    latents = latents_of(fit_picture(picture, size), vae, preset)
    working = WORKING_BYTES_PER_PIXEL * size.width * size.height
    with host.loaded(net.patcher, working) as device:
        latents, own = latents.to(device, net.dtype), token.to(device, net.dtype)
        features = net.module.reference_features(latents, own)
    kept = host.intermediate_device()
    return Reference(tuple(value.to(kept) for value in features), token.to(kept), preset)


def latents_of(
    frames: Tensor,  # (f, 3, H, W), 0..1
    vae: host.Vae,
    preset: Preset,
) -> Tensor:  # (f, c, H/8, W/8)
    """Return the latents of pictures in the denoiser's scale; InputError for an unfit VAE."""
    latents = vae.encode(convert.frames_to_image(frames))
    wanted = preset.unet.in_channels
    if latents.shape[1] != wanted:
        raise InputError(
            f"vae got a VAE with {latents.shape[1]} latent channels; {preset.title} needs "
            f"{wanted}. Connect the VAE that belongs to the weights."
        )
    return convert.to_denoiser_scale(latents, preset.latent_scale)


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
    image: Tensor | None,  # IMAGE, skeletons on black
    video: VideoInput | None,  # or the same as a clip, which is read frame by frame
    guider: Network,
    size: Size,  # pixels; a side of 0 follows the pictures
    keep: str,  # one of KEEP
    mask: Tensor | None = None,  # MASK beside the IMAGE: 1 where it is transparent
) -> Pose:
    """Return the driving motion, as features or, for long clips, as pictures."""
    from ...animate_anyone.media.fitting import fit_drawing

    with driving_clip(image, video, mask, "black") as clip:
        total = clip.total
        size = fitting_size(size, clip.size)
        fitted = (fit_drawing(frame, size) for frame in clip.frames)
        chunks = map(convert.as_tensor, in_chunks(fitted, CHUNK_FRAMES))
        outputs = guider.preset.pose_guider.out_channels
        feature_bytes = total * outputs * size.width * size.height // 64 * 2
        if keep == "features" or (keep == "automatic" and feature_bytes <= FEATURE_BYTES):
            return Pose(pose_features(chunks, total, guider, size), None, size, guider)
        return Pose(None, convert.join(list(_reported(chunks, total))), size, guider)


def pose_features(
    chunks: Iterable[Tensor],  # (f', H, W, 3) uint8
    total: int,  # frames, for the progress bar
    guider: Network,
    size: Size,
) -> Tensor:  # (f, c, h, w), on the host's intermediate device
    """Return the Pose Guider's features of all frames, computed a few frames at a time."""
    parts, kept = [], host.intermediate_device()
    working = WORKING_BYTES_PER_PIXEL * size.width * size.height * CHUNK_FRAMES
    with host.loaded(guider.patcher, working) as device:
        for chunk in _reported(chunks, total):
            frames = convert.bytes_to_frames(chunk, device, guider.dtype)
            parts.append(guider.module(frames).to(kept))
    return convert.join(parts)


def _reported(chunks: Iterable[Tensor], total: int) -> Iterator[Tensor]:
    """Yield the chunks and advance the node's progress bar."""
    report, done = host.progress(total), 0
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        report(min(done, total), total)
