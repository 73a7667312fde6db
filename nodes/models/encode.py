"""Running the networks that come before sampling: VAE, image encoder, ReferenceNet, Pose Guider."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from comfy_api.input import VideoInput
from torch import Tensor

from ...animate_anyone.config import Preset
from ...animate_anyone.errors import InputError
from ...animate_anyone.networks.call_memory import PIXELS_PER_LATENT
from ...animate_anyone.networks.condition import MOST_REFERENCES
from ...animate_anyone.types import PoseClip, Size
from ..clips.read import driving_clip, in_chunks
from ..comfyui import convert, host, looks
from ..comfyui.room import HALF_BYTES, require_room_for_images, require_room_for_reference
from ..comfyui.sockets import EncodedPicture, Network, Pose, Reference

CHUNK_FRAMES = 8  # pose pictures in the Pose Guider at once
LARGEST_SIDE = 4096  # pixels of a drawn picture
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
    image: Tensor,  # IMAGE, one to eight pictures of a character
    vae: host.Vae,
    clip_vision: host.ClipVision,
    net: Network,
    size: Size,  # pixels; a side of 0 is chosen by the weights
    mask: Tensor | None = None,  # MASK: 1 where the picture is transparent
) -> Reference:
    """Return ReferenceNet's features and the image tokens of a character's pictures.

    The pictures are encoded one after another, so that memory does not grow with their number.
    """
    from ...animate_anyone.animate import tell_small
    from ...animate_anyone.media import fit_picture

    if len(image) > MOST_REFERENCES:
        raise InputError(
            f"image got {len(image)} pictures; a character has one to {MOST_REFERENCES} reference "
            "pictures. Choose those that differ most with ImageFromBatch nodes."
        )
    frames = convert.image_to_frames(convert.with_mask(image, mask, "image"), "image")
    tell_small(frames, "image")
    preset = net.preset
    size = fitting_size(size, Size(preset.width, preset.height))
    require_room_for_reference(preset.unet.reference(), size, net.patcher)
    pictures = frames.split(1)
    tokens = [image_token(one, clip_vision, preset.unet.cross_attention_dim) for one in pictures]
    latents = [latents_of(fit_picture(one, size), vae, preset) for one in pictures]
    working = WORKING_BYTES_PER_PIXEL * size.width * size.height
    kept, encoded, report = host.intermediate_device(), [], host.progress(len(pictures))
    with host.loaded(net.patcher, working) as device, looks.watched(net.module):
        for latent, token in zip(latents, tokens, strict=True):
            inputs = (latent.to(device, net.dtype), token.to(device, net.dtype))
            features = net.module.reference_features(*inputs)
            features = tuple(value.to(kept) for value in features)
            encoded.append(EncodedPicture(features, token.to(kept)))
            report(len(encoded), len(pictures))
    return Reference(tuple(encoded), preset)


def combine_references(
    references: Sequence[Reference | None],  # None: nothing is connected there
    strengths: Sequence[float],  # of each; all pictures of a reference get it
    keypoints: list[dict] | None = None,  # POSE_KEYPOINT whose people the references show
) -> Reference:
    """Return the pictures of several references as those of one character, or one per person."""
    pictures, presets = [], []
    for number, (one, strength) in enumerate(zip(references, strengths, strict=True), start=1):
        if one is None:
            continue
        presets.append(one.preset)
        if one.preset.unet.reference() != presets[0].unet.reference():
            raise InputError(
                f"reference_{number} got one made with {one.preset.title}, reference_1 one made "
                f"with {presets[0].title}; all must come from one weight set. Encode the pictures "
                "with the networks of one Load Models node."
            )
        if one.persons is not None or (keypoints is not None and not strength):
            what = "several persons" if strength else f"strength {strength:g}"
            raise InputError(
                f"reference_{number} got {what}; with keypoints each reference shows one person, "
                "who is not left out. Connect a reference of one character, strength above 0."
            )
        person = len(presets) - 1 if keypoints is not None else 0
        pictures += [
            each._replace(strength=each.strength * strength, person=person) for each in one.pictures
        ]
    if len(pictures) > MOST_REFERENCES:
        raise InputError(
            f"Combine References got {len(pictures)} pictures in all; a character has one to "
            f"{MOST_REFERENCES} reference pictures. Leave out those that show nothing new."
        )
    if not any(each.strength for each in pictures):
        raise InputError(
            f"strength got 0 for all {len(pictures)} pictures; 0 leaves a picture out, and none "
            "would be left. Set one or more above 0."
        )
    seen = sum(each.strength > 0 for each in pictures)
    log.info("Combine References: %d pictures, %d of them are looked at.", len(pictures), seen)
    return Reference(tuple(pictures), presets[0], _persons(keypoints, len(presets)))


def _persons(keypoints: list[dict] | None, references: int) -> PoseClip | None:
    """Return the motion of the persons; InputError if persons and references differ."""
    from ...animate_anyone.pose.files.keypoints import parse_keypoints

    if keypoints is None:
        return None
    clip = parse_keypoints(keypoints)
    people = clip.body.xy.shape[1]
    if people > references:
        raise InputError(
            f"keypoints got {people} persons for {references} references; person {references + 1} "
            "has no reference. Connect one per person, or keypoints with fewer persons."
        )
    if people < references:
        raise InputError(
            f"keypoints got {people} persons for {references} references; reference_{people + 1} "
            "belongs to nobody. Disconnect it."
        )
    return clip


def latents_of(
    frames: Tensor,  # (f, 3, H, W), 0..1
    vae: host.Vae,
    preset: Preset,
) -> Tensor:  # (f, c, H/8, W/8)
    """Return the latents of pictures in the denoiser's scale; InputError for an unfit VAE."""
    latents = looks.encode(vae, convert.frames_to_image(frames))
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
    with looks.watched(getattr(clip_vision, "model", None)):
        token = clip_vision.encode_image(square, crop=False).image_embeds
    if token is None or token.shape[-1] != width:
        got = "no embedding" if token is None else f"an embedding of {token.shape[-1]} numbers"
        raise InputError(
            f"clip_vision got a model that gives {got}; these weights need {width}. Connect the "
            "image encoder that belongs to them (for Stable Diffusion 1.5 networks CLIP ViT-L/14 "
            "with projection, of sd-image-variations)."
        )
    return token.float()[:, None]


def check_drawn_size(size: Size) -> None:
    """Raise InputError for a size that the widgets of the nodes would not allow."""
    if max(size.width, size.height) > LARGEST_SIDE:
        raise InputError(
            f"width and height got {size.width}x{size.height} pixels from the canvas of the "
            f"keypoints; a side has at most {LARGEST_SIDE}. Set width, height or both."
        )


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
    from ...animate_anyone.pose.drawing.colours import with_colours_in_order

    name = "image" if video is None else "video"
    with driving_clip(image, video, mask, "black") as clip:
        total = clip.total
        size = fitting_size(size, clip.size)
        _require_room(keep, total, size, guider)
        ordered = with_colours_in_order(clip.frames, partial(log.warning, "%s: %s", name))
        fitted = (fit_drawing(frame, size) for frame in ordered)
        chunks = map(convert.as_tensor, in_chunks(fitted, CHUNK_FRAMES))
        if _keeps_features(keep, total, size, guider):
            return Pose(pose_features(chunks, total, guider, size), None, size, guider)
        return Pose(None, convert.join(list(_reported(chunks, total))), size, guider)


def encode_keypoints(
    keypoints: list[dict[str, Any]],  # POSE_KEYPOINT
    guider: Network,
    size: Size,  # pixels; a side of 0 follows the canvas of the keypoints
    keep: str,  # one of KEEP
) -> Pose:
    """Return the driving motion, as features or, for long clips, as the keypoints themselves.

    Skeletons are drawn a few frames at a time, in the style that the Pose Guider was trained on.
    """
    from ...animate_anyone.pose.files.keypoints import parse_keypoints

    clip = parse_keypoints(keypoints)
    size = fitting_size(size, clip.canvas)
    check_drawn_size(size)
    pose, total = Pose(None, None, size, guider, clip), len(clip)
    if _keeps_features(keep, total, size, guider):
        _require_room(keep, total, size, guider)
    if not _keeps_features(keep, total, size, guider):
        return pose
    starts = range(0, total, CHUNK_FRAMES)
    chunks = (pose.pictures_of(range(total)[start : start + CHUNK_FRAMES]) for start in starts)
    return Pose(pose_features(chunks, total, guider, size), None, size, guider)


def _require_room(keep: str, frames: int, size: Size, guider: Network) -> None:
    """Raise InputError if what is kept of a pose can never be in memory."""
    of_features = guider.preset.pose_guider.out_channels * HALF_BYTES / PIXELS_PER_LATENT**2
    kept = of_features if _keeps_features(keep, frames, size, guider) else 3
    require_room_for_images("Encode Pose", size, frames, kept)


def _keeps_features(keep: str, frames: int, size: Size, guider: Network) -> bool:
    outputs = guider.preset.pose_guider.out_channels
    feature_bytes = frames * outputs * size.width * size.height // 64 * 2
    return keep == "features" or (keep == "automatic" and feature_bytes <= FEATURE_BYTES)


def pose_features(
    chunks: Iterable[Tensor],  # (f', H, W, 3) uint8
    total: int,  # frames, for the progress bar
    guider: Network,
    size: Size,
) -> Tensor:  # (f, c, h, w), on the host's intermediate device
    """Return the Pose Guider's features of all frames, computed a few frames at a time."""
    parts, kept = [], host.intermediate_device()
    working = WORKING_BYTES_PER_PIXEL * size.width * size.height * CHUNK_FRAMES
    with host.loaded(guider.patcher, working) as device, looks.watched(guider.module):
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
