"""Reading, converting and writing pictures, and contact sheets."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from einops import rearrange
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from .. import opencv as cv2
from ..errors import AnimateAnyoneError, InputError, MediaError
from ..places import cannot_write, check_place, whole_file, why_no_file
from ..types import Size
from .light import coded_light, srgb_levels, to_sdr

logger = logging.getLogger(__name__)

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

# What stands behind transparent parts: white behind a character, black behind a drawn skeleton.
Background = Literal["white", "black"]

_USUAL_GAMMA, _NEAR_GAMMA = 1 / 2.2, 0.05  # exponents so near are those of sRGB
_MOVING = frozenset({"AVIF", "GIF", "PNG", "WEBP"})  # formats whose frames follow in time


def read_picture(
    path: Path | str,
    longest: int | None = None,  # pixels; pictures with a longer side are scaled down
) -> Tensor:  # (1, 3, H, W) float32 RGB, 0..1
    """Return a picture, rotated upright, in sRGB; transparent parts become white."""
    return to_pixels(read_bytes(Path(path), longest)[None])


def picture_size(
    path: Path | str,
    name: str = "picture",  # what the user calls the path, for messages
) -> Size:
    """Return the size of a picture file after rotating it upright."""
    return picture_facts(path, name)[0]


def picture_facts(
    path: Path | str,
    name: str = "picture",  # what the user calls the path, for messages
) -> tuple[Size, int]:
    """Return the size of a picture file after rotating it upright, and its frames or pages."""
    with opened_picture(Path(path), name) as image:
        count = getattr(image, "n_frames", 1) if image.format in (*_MOVING, "TIFF") else 1
        return Size(*ImageOps.exif_transpose(image).size), count


def to_pixels(
    frames: np.ndarray,  # (f, H, W, 3) uint8
) -> Tensor:  # (f, 3, H, W) float32, 0..1
    """Convert 8-bit frames into the core's tensors."""
    return rearrange(torch.from_numpy(frames), "f H W c -> f c H W").float().div_(255)


def to_bytes(
    frames: Tensor,  # (f, 3, H, W), 0..1; values outside are clipped
) -> np.ndarray:  # (f, H, W, 3) uint8
    """Convert the core's tensors into 8-bit frames, rounded to the nearest value."""
    scaled = frames.detach().float().clamp(0, 1).mul(255).round_().to(torch.uint8)
    return rearrange(scaled, "f c H W -> f H W c").contiguous().cpu().numpy()


def read_bytes(
    path: Path,
    longest: int | None = None,  # pixels, as in read_picture
    background: Background = "white",
) -> np.ndarray:  # (H, W, 3) uint8 RGB
    """Return a picture as uint8, rotated upright, in sRGB; transparent parts are filled."""
    with opened_picture(path) as image:
        _check_range(image, path)
        before = image.size
        if longest is not None and max(before) > longest:
            image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
            logger.warning("%s: %dx%d pixels, reduced to %dx%d", path, *before, *image.size)
        return to_rgb(ImageOps.exif_transpose(image), path, background)


def _check_range(image: Image.Image, path: Path) -> None:
    """Raise for numbers that do not say which of them is white."""
    if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
        what = "float numbers" if image.mode == "F" else "integers of 32 bits"
        raise MediaError(
            f"picture got {path}; its pixels are {what} of unknown range. "
            "Save it again with 8 or 16 bits, as PNG."
        )


def to_rgb(
    image: Image.Image,
    path: Path,  # for messages
    background: Background,
    quiet: bool = False,  # do not log that transparent parts were filled
) -> np.ndarray:  # (H, W, 3) uint8 RGB
    """Return a picture of any mode as 8-bit sRGB, its transparent parts filled."""
    if image.mode.startswith("I"):  # 16-bit grey, which PIL would clip at 255
        grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        info, image = image.info, Image.fromarray(grey)
        image.info = {name: info[name] for name in ("gamma", "srgb") if name in info}
    coded = coded_light(path)
    if coded is not None:
        return _from_light(image, path, background, *coded)
    image = _from_gamma(_in_srgb(image, path), path)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if not quiet and np.asarray(image.getchannel("A")).min() < 255:
            logger.warning("%s: transparent parts were filled with %s", path, background)
        image = on_background(image, background)
    return np.array(image.convert("RGB"))


def on_background(
    image: Image.Image,  # RGBA
    background: Background,
) -> Image.Image:  # RGB
    """Return a picture with its transparent parts filled; used for pictures and videos alike."""
    ground = Image.new("RGBA", image.size, background)
    return Image.alpha_composite(ground, image).convert("RGB")


def _from_gamma(image: Image.Image, path: Path) -> Image.Image:
    """Return a picture in sRGB whose file says another exponent (gAMA of PNG)."""
    gamma = image.info.get("gamma")
    if not gamma or "srgb" in image.info or "icc_profile" in image.info:
        return image
    if abs(gamma / _USUAL_GAMMA - 1) < _NEAR_GAMMA:
        return image
    levels = srgb_levels(np.linspace(0, 1, 256) ** (1 / gamma)).tolist()
    logger.warning("%s: brought from the exponent %.3g that it names to sRGB", path, gamma)
    if image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    colours = levels * min(3, len(image.getbands()))
    return image.point(colours + (list(range(256)) if image.mode == "RGBA" else []))


def _from_light(
    image: Image.Image, path: Path, background: Background, primaries: int, transfer: int
) -> np.ndarray:  # (H, W, 3) uint8
    """Return a picture in sRGB whose light is coded by numbers of H.273, as HDR's is."""
    logger.warning("%s: its HDR or wide colours were brought to SDR", path)
    if image.has_transparency_data:
        image = on_background(image.convert("RGBA"), background)
    return to_sdr(np.asarray(image.convert("RGB")).astype(np.uint16) * 257, transfer, primaries)


def moves(path: Path) -> bool:
    """Return whether a picture has several frames that follow each other in time."""
    with opened_picture(path) as image:
        return image.format in _MOVING and getattr(image, "n_frames", 1) > 1 + first_frame(image)


def first_frame(image: Image.Image) -> int:
    """Return the number of the first moving frame of a picture.

    An APNG may begin with a still picture for programs that do not show animations.
    """
    return int(bool(getattr(image, "default_image", False)))


def _in_srgb(image: Image.Image, path: Path) -> Image.Image:
    """Return a picture whose colours are converted from its ICC profile to sRGB."""
    data = image.info.get("icc_profile")
    if not data:
        return image
    from PIL import ImageCms  # needed by few pictures, and some builds of PIL lack it

    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(data))
        if "sRGB" in ImageCms.getProfileDescription(profile):
            return image
        alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
        if image.mode not in ("L", "RGB", "CMYK"):
            image = image.convert("RGB")
        srgb = ImageCms.createProfile("sRGB")
        shown = ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, ImportError) as error:
        logger.warning("%s: its colour profile was not used (%s)", path, error)
        return image
    if shown is None:
        return image
    if alpha is not None:
        shown.putalpha(alpha)
    return shown


@contextmanager
def opened_picture(
    path: Path,
    name: str = "picture",  # what the user calls the path, for messages
) -> Iterator[Image.Image]:
    """Open a picture file; InputError or MediaError names the file if this fails."""
    if not path.is_file():
        raise InputError(f"{name} got {path}; {why_no_file(path)}. Check the path.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                yield image
    except Image.DecompressionBombError as error:
        raise InputError(
            f"{name} got {path}; it has more than 178 million pixels. Reduce it first."
        ) from error
    except UnidentifiedImageError as error:
        raise MediaError(
            f"{name} got {path}; it cannot be decoded, since it is no picture or a damaged "
            "one. Name a picture such as PNG, JPEG or WebP, not a video."
        ) from error
    except AnimateAnyoneError:
        raise
    except Exception as error:  # a damaged picture makes Pillow's readers raise nearly anything
        why = str(error) or type(error).__name__
        raise MediaError(
            f"{name} got {path}; it cannot be decoded ({why}). Save it again as PNG."
        ) from error


def check_picture_place(
    path: Path | str,
    name: str = "out",  # what the user calls this path, for messages
) -> None:
    """Raise MediaError unless a picture can be written to this path; call it before long work."""
    path = Path(path)
    _format_of(path, name)
    check_place(path, name=name)


def write_picture(
    path: Path | str,
    picture: np.ndarray,  # (H, W, 3) uint8 RGB
    name: str = "out",  # what the user calls this path, for messages
) -> None:
    """Write a picture file; its format follows the suffix. A failed write leaves no file."""
    content = BytesIO()  # written to a file, a JPEG's error would not say that the disk is full
    Image.fromarray(picture).save(content, _format_of(Path(path), name))
    with whole_file(path, suffixed=True, name=name) as part:
        part.write_bytes(content.getbuffer())


def _format_of(path: Path, name: str) -> str:
    """Return the format of a picture's suffix; MediaError if no picture can be written so."""
    kind = Image.registered_extensions().get(path.suffix.lower(), "")
    if kind not in Image.SAVE:
        unknown = ValueError(f"unknown file extension: {path.suffix}")
        raise MediaError(cannot_write(path, unknown, name))
    return kind


def contact_sheet(
    rows: Mapping[str, Sequence[np.ndarray]],  # label -> frames (H, W, 3) uint8
    cell: int = 128,  # pixels; height of a frame on the sheet
) -> np.ndarray:  # (H, W, 3) uint8 RGB
    """Return a picture of rows of frames, one below the other, each with its label at the left."""
    if not rows or not all(len(frames) for frames in rows.values()):
        raise InputError(
            f"rows got {[len(frames) for frames in rows.values()]} frames; every row of a contact "
            f"sheet needs at least one. Remove the empty rows."
        )
    label_px = 12 + 9 * max(len(label) for label in rows)
    strips = []
    for label, frames in rows.items():
        name = np.full((cell, label_px, 3), 255, np.uint8)
        place = (6, cell // 2 + 5)
        cv2.putText(name, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
        strips.append(np.concatenate([name, *(_to_height(frame, cell) for frame in frames)], 1))
    width = max(strip.shape[1] for strip in strips)
    filled = [
        np.pad(strip, ((0, 2), (0, width - strip.shape[1]), (0, 0)), constant_values=255)
        for strip in strips
    ]
    return np.concatenate(filled)


def spread(frames: int, count: int) -> list[int]:
    """Return at most `count` frame numbers, evenly spread from the first to the last."""
    if frames <= count:
        return list(range(frames))
    return [round(i * (frames - 1) / max(count - 1, 1)) for i in range(count)]


def _to_height(frame: np.ndarray, height: int) -> np.ndarray:
    width = max(1, round(frame.shape[1] * height / frame.shape[0]))
    way = cv2.INTER_AREA if height < frame.shape[0] else cv2.INTER_NEAREST
    return cv2.resize(frame, (width, height), interpolation=way)
