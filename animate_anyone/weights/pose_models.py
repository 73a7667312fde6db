"""Where the two networks that read poses come from: a detector and an estimator, as ONNX files."""

from pathlib import Path

from ..errors import WeightsError
from ..protocols import Progress
from .hub.download import HubFile, fetch_all
from .sources import MINI_FOLDER

DETECTOR = "pose_detector.onnx"
ESTIMATOR = "pose_estimator.onnx"

_DWPOSE = "yzd-v/DWPose"
_DWPOSE_REVISION = "1a7144101628d69ee7a3768d1ee3a094070dc388"
DWPOSE_LICENCE = "Apache-2.0 (YOLOX, DWPose)"
# The pair with which the skeletons for the public weights were made: YOLOX-L and DWPose-L.
DWPOSE = (
    HubFile(
        repository=_DWPOSE,
        path="yolox_l.onnx",
        to="yolox_l.onnx",
        revision=_DWPOSE_REVISION,
        size=216_746_733,
        sha256="7860ae79de6c89a3c1eb72ae9a2756c0ccfbe04b7791bb5880afabd97855a411",
    ),
    HubFile(
        repository=_DWPOSE,
        path="dw-ll_ucoco_384.onnx",
        to="dw-ll_ucoco_384.onnx",
        revision=_DWPOSE_REVISION,
        size=134_399_116,
        sha256="724f4ff2439ed61afb86fb8a1951ec39c6220682803b4a8bd4f598cd913b1843",
    ),
)


def embedded_pose_models(folder: Path = MINI_FOLDER) -> tuple[Path, Path]:
    """Return detector and estimator of aa-mini, which know its drawn characters.

    Raises WeightsError if one of the files is missing.
    """
    detector, estimator = folder / DETECTOR, folder / ESTIMATOR
    for path in (detector, estimator):
        if not path.is_file():
            raise WeightsError(
                f"weights got {path}, which is missing; it is part of this package. Install the "
                f"package again, or name another detector and estimator."
            )
    return detector, estimator


def download_pose_models(
    folder: Path,
    progress: Progress | None = None,  # of the file being fetched, in bytes; may raise
) -> tuple[Path, Path]:
    """Return detector and estimator of DWPose in `folder`, fetched and checked.

    Files that are there already and right are not fetched again. Raises DownloadError, which
    says where to put the files by hand.
    """
    detector, estimator = fetch_all(DWPOSE, Path(folder), progress)
    return detector, estimator
