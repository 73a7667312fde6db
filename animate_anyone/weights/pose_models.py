"""Open the networks that read poses, a detector and an estimator; find those of aa-mini."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError, WeightsError
from ..places import why_no_file
from ..pose.networks.detector import Detector
from ..pose.networks.estimator import Estimator
from ..pose.networks.sessions import PoseSession, open_session
from .sources import MINI_FOLDER

DETECTOR = "pose_detector.onnx"
ESTIMATOR = "pose_estimator.onnx"


class PosePair(NamedTuple):
    """A detector and an estimator, ready to run."""

    detector: Detector
    estimator: Estimator

    @property
    def name(self) -> str:
        """Return the names of the two files, for reports."""
        return f"{self.detector.session.path.name}, {self.estimator.session.path.name}"


def open_pose_pair(
    detector: Path | None = None,  # None, both: the embedded pair
    estimator: Path | None = None,
    provider: str = "auto",  # auto, or a key of PROVIDERS
    *,
    channel_order: str = "rgb",  # one of CHANNEL_ORDERS
    engine_cache: Path | None = None,  # folder in which TensorRT stores its engines
    opens: Callable[..., PoseSession] = open_session,  # opens one file; may return a shared session
) -> PosePair:
    """Load a detector and an estimator.

    Raises the errors of `chosen_pose_models` and `open_session`, and WeightsError for a file that
    is not a detector or estimator as named.
    """
    paths = chosen_pose_models(detector, estimator)
    first, second = (
        opens(path, provider, engine_cache=engine_cache, name=role)
        for role, path in zip(("detector", "estimator"), paths, strict=True)
    )
    return PosePair(Detector(first), Estimator(second, channel_order))


def chosen_pose_models(detector: Path | None, estimator: Path | None) -> tuple[Path, Path]:
    """Return the two named files, or those of the embedded pair if none is named.

    Raises InputError if only one is named, WeightsError for a missing file.
    """
    if detector is None and estimator is None:
        return embedded_pose_models()
    if detector is None or estimator is None:
        missing = "detector" if detector is None else "estimator"
        raise InputError(
            f"{missing} got nothing; detector and estimator must be named together. Name both, or "
            "none for the embedded pair."
        )
    for role, path in (("detector", detector), ("estimator", estimator)):
        if not path.is_file():
            raise WeightsError(f"{role} got {path}; {why_no_file(path)}. Check the path.")
    return detector, estimator


def embedded_pose_models(folder: Path = MINI_FOLDER) -> tuple[Path, Path]:
    """Return detector and estimator of aa-mini, which can read its drawn characters.

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
