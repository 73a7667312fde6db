"""How the colours of a frame are coded: what it says, and what is assumed where it says nothing."""

from dataclasses import dataclass
from typing import Any

from av.video.frame import VideoFrame

from .light import HLG, LINEAR, PQ

# FFmpeg's numbers of matrices, and the names that its scaler knows them by.
_MATRICES = {1: "bt709", 4: "fcc", 5: "bt470", 6: "smpte170m", 7: "smpte240m", 9: "bt2020"}
# The scaler's numbers of the same; older PyAVs have no names for all of them.
_FOR_PYAV = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}
_RGB, _UNTOLD = 0, 2
_HDR = {PQ: "PQ", HLG: "HLG"}
_CURVES = {
    9: "a curve of logarithms (100:1)",
    10: "a curve of logarithms (316:1)",
    17: "the curve of cinemas (SMPTE ST 428)",
}
_WIDE = (9, 12)  # primaries far from those of BT.709: BT.2020, Display P3
_HD = 720  # rows from which on players assume BT.709
_FULL, _LIMITED = 2, 1  # FFmpeg's numbers of the ranges 0..255 and 16..235


@dataclass(frozen=True, kw_only=True)
class Colour:
    """How colours are coded, as FFmpeg's numbers; None: the frame is RGB or grey."""

    matrix: int | None
    full: bool | None  # values use the whole range, 0..255 for 8 bits
    transfer: int = _UNTOLD
    primaries: int = _UNTOLD
    note: str = ""  # what was assumed, or could not be honoured

    @property
    def needs_light(self) -> bool:
        """Return whether light must be converted too, not only matrix and range."""
        return self.transfer in (*_HDR, LINEAR) or self.primaries in _WIDE

    def reformat(self) -> dict[str, Any]:
        """Return the options of PyAV's `reformat` for frames that need no filter."""
        if self.matrix is None:
            return {}
        matrix = _FOR_PYAV[self.matrix]
        # PyAV 14 converts by these only if those of the result, which is RGB, are others.
        other = {"dst_colorspace": 1 if matrix == 5 else 5} if self.full else {"dst_color_range": 2}
        limits = _FULL if self.full else _LIMITED
        return {"src_colorspace": matrix, "src_color_range": limits, **other}

    def options(self) -> str:
        """Return the options of FFmpeg's filter `scale`."""
        if self.matrix is None:
            return ""
        limits = "full" if self.full else "limited"
        return f":in_color_matrix={_MATRICES[self.matrix]}:in_range={limits}:out_range=full"


def colour_of(frame: VideoFrame, light: tuple[int, int] = (_UNTOLD, _UNTOLD)) -> Colour:
    """Return how the colours of a frame are coded.

    Where the frame says nothing, players take BT.709 from 720 rows on and BT.601 below.
    """
    transfer, primaries = light_of(frame, light)
    told = int(frame.colorspace)
    if frame.format.is_rgb or len(frame.format.components) < 3 or told == _RGB:
        matrix, full, notes = None, None, []
    else:
        matrix, note = _matrix_of(told, transfer, frame.height)
        full, notes = _is_full(frame), [note]
    if transfer in _HDR and primaries == _UNTOLD:
        primaries = 9
    notes.append(_light_note(transfer))
    note = " ".join(note for note in notes if note)
    return Colour(matrix=matrix, full=full, transfer=transfer, primaries=primaries, note=note)


def light_of(frame: VideoFrame, light: tuple[int, int]) -> tuple[int, int]:
    """Return FFmpeg's numbers of a frame's transfer curve and primaries.

    The frames of PyAV 14 do not say them; then those of the whole clip are taken.
    """
    transfer = int(getattr(frame, "color_trc", light[0]))
    if transfer == _UNTOLD and "f32" in frame.format.name:  # only pictures of light are floats
        transfer = LINEAR
    return transfer, int(getattr(frame, "color_primaries", light[1]))


def _is_full(frame: VideoFrame) -> bool:
    return int(frame.color_range) == _FULL or frame.format.name.startswith("yuvj")


def _matrix_of(told: int, transfer: int, rows: int) -> tuple[int, str]:
    if told in _MATRICES:
        return told, ""
    if transfer in _HDR:
        taken, why = 9, "as for HDR"
    elif rows >= _HD:
        taken, why = 1, f"as players do from {_HD} pixels of height on"
    else:
        taken, why = 5, f"as players do below {_HD} pixels of height"
    name = {9: "BT.2020", 1: "BT.709", 5: "BT.601"}[taken]
    if told == _UNTOLD:
        return taken, f"The file does not say how its colours are coded; {name} was assumed, {why}."
    return taken, (
        f"The file codes its colours by matrix {told} of H.273, which is not known here; {name} "
        "was taken instead, so colours may be wrong."
    )


def _light_note(transfer: int) -> str:
    if transfer in _CURVES:
        return (
            f"Its colours follow {_CURVES[transfer]}, which is not known here; they were taken as "
            "those of SDR, so they may be too dark or too flat."
        )
    if transfer == LINEAR:
        return "Its linear light was brought to sRGB; all that is brighter than 1 is white."
    if transfer not in _HDR:
        return ""
    return (
        f"Its HDR colours ({_HDR[transfer]}) were brought to SDR: 203 cd/m2 is white, and so is "
        "all that is brighter."
    )
