"""OpenCV, imported when something of it is first used: ComfyUI does not bring it.

Use as `from .. import opencv as cv2`.
"""

from typing import Any

from .errors import PackageError


def __getattr__(name: str) -> Any:  # noqa: ANN401  (whatever OpenCV has under this name)
    """Return what OpenCV has under a name."""
    if name.startswith("__"):
        raise AttributeError(name)
    try:
        import cv2
    except ImportError as error:
        raise PackageError(
            f"cv2 got {error}; drawing skeletons and fitting frames needs OpenCV. Install one of "
            "its packages: pip install opencv-python-headless"
        ) from error
    value = globals()[name] = getattr(cv2, name)
    return value
