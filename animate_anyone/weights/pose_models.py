"""aa-mini's two networks that read poses: a detector and an estimator, as ONNX files."""

from pathlib import Path

from ..errors import WeightsError
from .sources import MINI_FOLDER

DETECTOR = "pose_detector.onnx"
ESTIMATOR = "pose_estimator.onnx"


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
