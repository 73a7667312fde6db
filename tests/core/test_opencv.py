"""Without OpenCV, its first use raises an error with the way out.

That the pack loads without it is part of `test_architecture.py`.
"""

import sys

import pytest

from animate_anyone import opencv
from animate_anyone.errors import PackageError


def test_the_error_names_the_package_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(PackageError, match="pip install opencv-python-headless"):
        _ = opencv.getVersionString  # nobody else uses it, so it was not kept


def test_attributes_are_those_of_opencv():
    cv2 = pytest.importorskip("cv2")
    assert opencv.resize is cv2.resize
