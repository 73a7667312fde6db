"""Work of the Continue node, and what samplers do with a latent that begins with known frames."""

import logging
from typing import Any

from torch import Tensor

from ...animate_anyone.animate.continuing import check_held, closer_latents
from ...animate_anyone.diffusion.windows import WindowConfig
from ...animate_anyone.errors import InputError
from ...animate_anyone.media import fit_picture
from ...animate_anyone.types import Size
from ..comfyui import convert, host, latents, looks
from ..comfyui.sockets import Pose

log = logging.getLogger(__name__)

USUAL_SPREAD = (0.2, 5.0)  # root mean square of latents in the denoiser's scale


def continued(
    pose: Pose,  # of the new clip; its first poses are those of the held frames
    image: Tensor | None,  # IMAGE: the earlier clip
    latent: dict[str, Tensor] | None,  # or the same as LATENT
    vae: host.Vae | None,  # for the IMAGE
    held: int,
) -> dict[str, Tensor]:
    """Return a LATENT for the new clip that begins with the last frames of the earlier one."""
    if (image is None) == (latent is None):
        raise InputError(
            f"image and latent got {'nothing' if image is None else 'both'}; connect the earlier "
            "clip to one of them."
        )
    preset, frames = pose.guider.preset, len(pose)
    check_held(held, frames, WindowConfig(length=max(frames, 1), overlap=0))
    if image is not None:
        known = _encoded(image, vae, held, pose.size, preset.unet.in_channels)
    else:
        assert latent is not None
        known = _taken(latents.frame_latents(latent["samples"], "latent"), held)
    empty = convert.empty_latent(
        frames, preset.unet.in_channels, pose.size, host.intermediate_device()
    )
    _check_fits(known, empty["samples"], pose.size, preset.latent_scale, vae)
    return latents.continued_latent(empty, known)


def start_latent(
    given: dict[str, Tensor],  # LATENT of Continue, of VAE Encode, of Set Latent Noise Mask
    own: dict[str, Tensor],  # empty LATENT of the clip
) -> dict[str, Tensor]:
    """Return the LATENT that sampling starts from; one of a single picture is for all frames."""
    wanted = own["samples"]
    samples = latents.frame_latents(given["samples"], "latent")
    samples = latents.spread_latent(samples, len(wanted))
    if samples.shape != wanted.shape:
        got, need = (
            f"{len(one)} frames of {8 * one.shape[3]}x{8 * one.shape[2]} pixels with "
            f"{one.shape[1]} channels"
            for one in (samples, wanted)
        )
        raise InputError(
            f"latent got {got}; the pose asks for {need}. Make it for the same pose and weights."
        )
    if given.get("noise_mask") is None:
        return {**given, "samples": samples}
    mask = convert.checked_noise_mask(given["noise_mask"], len(wanted))
    return {**given, "samples": samples, "noise_mask": mask}


def hold(
    extra_args: dict[str, Any],  # of the host's sampler; changed for this run
    latent: Tensor | None,  # (f, c, h, w) in the denoiser's scale
    mask: Tensor | None,  # (f, c, h, w), 0 where the latent stays
    windows: WindowConfig | None,  # None: no windows are set
) -> None:
    """Let the clip leave held frames without a jump, if the noise mask keeps first frames.

    Each estimate of the clean latents then carries on what it misses of the last held frame.
    """
    held = latents.held_frames(mask)
    if not held or latent is None or held == len(latent):
        return
    check_held(held, len(latent), windows or WindowConfig(length=len(latent), overlap=0))

    def carried_on(values: dict[str, Any]) -> Tensor:
        return latents.faded_in(values["denoised"], latent, held)

    options = dict(extra_args["model_options"])
    after = [*options.get("sampler_post_cfg_function", []), carried_on]
    extra_args["model_options"] = options | {"sampler_post_cfg_function": after}


def _taken(
    values: Tensor,  # (f, ...), latents or pictures
    held: int,
) -> Tensor:  # (held, ...)
    """Return the last frames of the earlier clip."""
    if len(values) < held:
        raise InputError(
            f"held got {held}, but the earlier clip has {len(values)} frames. Set held to "
            f"{len(values)} or less."
        )
    return values[-held:]


def _encoded(
    image: Tensor,  # IMAGE
    vae: host.Vae | None,
    held: int,
    size: Size,  # of the pose
    channels: int,  # of the denoiser's latents
) -> Tensor:  # (held, c, h, w)
    if vae is None:
        raise InputError(
            "vae got nothing; an earlier clip as image is encoded with it. Connect the VAE that "
            "belongs to the weights."
        )
    frames = _taken(convert.image_to_frames(image[-held:], "image"), held)
    own = Size(frames.shape[3], frames.shape[2])
    if own != size and len(image) > 1:
        raise InputError(
            f"image got {own.width}x{own.height} pixels; the pose is for {size.width}x"
            f"{size.height}. Encode the pose with the width and height of the earlier clip."
        )
    if own != size:
        log.info("Continue: the picture of %dx%d pixels is fitted.", own.width, own.height)
        frames = fit_picture(frames, size)

    def encode(pictures: Tensor) -> Tensor:
        return looks.encode(vae, convert.frames_to_image(pictures)).detach()

    def decode(samples: Tensor) -> Tensor:
        return convert.image_to_frames(looks.decode(vae, samples).detach(), "vae")

    known = encode(frames)
    if known.ndim != 4 or known.shape[1] != channels:
        return known  # refused by its shape
    return closer_latents(known, frames, encode, decode)


def _check_fits(
    known: Tensor, wanted: Tensor, size: Size, latent_scale: float, vae: host.Vae | None
) -> None:
    """Check the earlier clip's latents against those of the new clip."""
    if known.shape[1] != wanted.shape[1]:
        name = "latent" if vae is None else "latent or vae"
        raise InputError(
            f"{name} got {known.shape[1]} channels; these weights have {wanted.shape[1]}. Connect "
            "the clip and the VAE that belong to them."
        )
    if known.shape[2:] != wanted.shape[2:]:
        raise InputError(
            f"latent got {8 * known.shape[3]}x{8 * known.shape[2]} pixels; the pose is for "
            f"{size.width}x{size.height}. Encode the pose with the width and height of the earlier "
            "clip."
        )
    spread = convert.root_mean_square(convert.to_denoiser_scale(known, latent_scale))
    if not USUAL_SPREAD[0] <= spread <= USUAL_SPREAD[1]:
        log.warning(
            "Continue: the latents have a root mean square of %.2f in the denoiser's scale, where "
            "about 1 is usual. If the seam is seen, they may be of another VAE: connect the frames "
            "as image instead.",
            spread,
        )
