"""The figures that a table can show: what they are called, and how they are written."""

from dataclasses import dataclass

Row = dict[str, float]  # name of METRICS to value; what was not measured is not there


@dataclass(frozen=True)
class Metric:
    """One column."""

    title: str
    digits: int  # behind the point
    needs: str | None = None  # the instrument without which it is not measured
    condition: str = ""  # on the clips


_SOMEBODY = "Somebody must be seen in the driving skeletons."
_DRAWN = "Only drawn characters at their own size have a known silhouette."
_WINDOWS = (
    "Clips of more than one window, generated here, are needed, whose truth moves at the borders "
    "of windows and inside."
)

METRICS = {
    "psnr": Metric("PSNR", 2),
    "ssim": Metric("SSIM", 3),
    "psnr_uint8_legacy": Metric("PSNR as in this field's tables (overflows)", 2),
    "lpips": Metric("LPIPS", 3, "lpips"),
    "fvd": Metric("FVD", 1, "fvd"),
    "pck": Metric("PCK", 3, "pose", _SOMEBODY),
    "oks": Metric("OKS", 3, "pose", _SOMEBODY),
    "pose_error": Metric("pose error (torsos)", 3, "pose", _SOMEBODY),
    "figure_psnr": Metric("PSNR in the figure", 2, condition=_DRAWN),
    "iou": Metric("silhouette IoU", 3, condition=_DRAWN),
    "flicker": Metric("flicker", 2, condition="Clips of 2 frames or more are needed."),
    "seam_drift": Metric("seam drift", 2, condition=_WINDOWS),
}


def cell(name: str, row: Row, error: Row | None = None) -> str:
    """Return a figure as a table shows it, with its standard error if there is one."""
    if name not in row:
        return ""
    digits = METRICS[name].digits
    text = f"{row[name]:.{digits}f}"
    if error and name in error:
        text += f" ± {error[name]:.{digits}f}"
    return text
