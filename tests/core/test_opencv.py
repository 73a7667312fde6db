"""Without OpenCV, the pack loads, and drawing a skeleton raises an error with the way out."""

import subprocess
import sys

PROGRAM = """
import sys
sys.modules["cv2"] = None
from animate_anyone.errors import PackageError
from animate_anyone.media import fit_drawing
from animate_anyone.types import Size
import numpy as np
try:
    fit_drawing(np.zeros((4, 4, 3), np.uint8), Size(8, 8))
except PackageError as error:
    print(error)
"""


def test_the_error_names_the_package_to_install():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert "pip install opencv-python-headless" in done.stdout
