"""HDR and wide colours brought to SDR: exact, since FFmpeg's filters cannot do it everywhere.

PyAV's FFmpeg has neither zscale nor libplacebo. From version 8 on its scaler can convert light, but
prepares tables for 2.7 s each time a clip is opened, and older versions cannot do it at all.
"""

import struct
from functools import lru_cache
from pathlib import Path

import numpy as np

WHITE = 203.0  # cd/m2 of HDR that is white in SDR (ITU-R BT.2408); brighter parts are white too
_HEAD = 1 << 14  # bytes of a picture before which its colours are told
_HLG_PEAK = 1000.0  # cd/m2 of a display of HLG, whose gamma is 1.2 then (ITU-R BT.2100)
_LUMINANCE = np.array([0.2627, 0.678, 0.0593], np.float32)  # of BT.2020's primaries

LINEAR, PQ, HLG = 8, 16, 18  # FFmpeg's numbers of the curves
# From primaries, by FFmpeg's number, to those of BT.709.
_MATRICES = {
    9: [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    12: [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]],
}


def to_sdr(
    pixels: np.ndarray,  # (H, W, 3) uint16, the whole range
    transfer: int,  # FFmpeg's number of the curve
    primaries: int,  # FFmpeg's number
) -> np.ndarray:  # (H, W, 3) uint8, sRGB
    """Return a picture in sRGB. 203 cd/m2 of HDR, and 1 of linear light, become white."""
    light = _light(transfer)[pixels]
    if transfer == HLG:
        bright = np.maximum(light @ _LUMINANCE, 1e-6)[..., None]
        light = light * bright ** np.float32(0.2) * np.float32(_HLG_PEAK / WHITE)
    if primaries in _MATRICES:
        light = light @ np.array(_MATRICES[primaries], np.float32).T
    steps = (light.clip(0, 1) * 65535 + 0.5).astype(np.uint16)
    return _levels()[steps]


def coded_light(path: Path) -> tuple[int, int] | None:
    """Return the numbers of primaries and curve (H.273) of an HDR or wide PNG or AVIF; else None.

    Pillow reads such pictures as if they were in sRGB.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"\x89PNG"):
        at = head.find(b"cICP", 0, head.find(b"IDAT") if b"IDAT" in head else None)
        numbers = tuple(head[at + 4 : at + 6]) if at > 0 else ()
    elif head[4:8] == b"ftyp" and (at := head.find(b"colrnclx")) > 0:
        numbers = struct.unpack(">HH", head[at + 8 : at + 12])
    else:
        return None
    if len(numbers) < 2 or not (numbers[1] in (LINEAR, PQ, HLG) or numbers[0] in _MATRICES):
        return None
    return numbers[0], numbers[1]


def srgb_levels(
    light: np.ndarray,  # 0..1
) -> np.ndarray:  # of the same shape, uint8
    """Return the level of sRGB of each amount of light."""
    value = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (255 * value).round().astype(np.uint8)


@lru_cache(maxsize=3)
def _light(transfer: int) -> np.ndarray:  # (65536,) float32
    """Return the light of each value, as a share of white; for HLG as a share of the scene's."""
    value = np.linspace(0, 1, 65536)
    if transfer == PQ:  # SMPTE ST 2084
        root = value ** (32 / 2523)
        power = (root - 3424 / 4096).clip(0) / (2413 / 128 - 2392 / 128 * root)
        light = 10000 / WHITE * power ** (16384 / 2610)
    elif transfer == HLG:  # ARIB STD-B67
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12)
    elif transfer == LINEAR:
        light = value
    else:
        light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


@lru_cache(maxsize=1)
def _levels() -> np.ndarray:  # (65536,) uint8
    """Return the level of sRGB of each amount of light."""
    return srgb_levels(np.linspace(0, 1, 65536))
