"""OpenCV, imported at first use, because ComfyUI does not install it.

Use as `from .. import opencv as cv2`.
"""

from typing import Any

from .errors import PackageError


def __getattr__(name: str) -> Any:  # noqa: ANN401  (any object of OpenCV)
    """Return the attribute of OpenCV with this name; PackageError if OpenCV is missing."""
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
