"""Other ways in which a painted frame can look: as an ink drawing, and as its edges."""

import cv2
import numpy as np

PAPER = np.array([246, 240, 224], np.float32)  # RGB, 0..255
INK = np.array([22, 32, 92], np.float32)
LIGHTEST = 0.86  # of the figure, so that white clothes stand out from the paper: 1 is paper
BACKGROUND = 0.22  # of the tones that the background keeps


def inked(
    picture: np.ndarray,  # (H, W, 3), uint8 RGB
    mask: np.ndarray,  # (H, W), uint8, 255 where the figure is
) -> np.ndarray:  # (H, W, 3), uint8 RGB
    """Return the frame as a wash drawing in blue ink on paper, the background faint."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None] / 255
    figure = mask.astype(np.float32)[..., None] / 255
    tone = figure * LIGHTEST * grey + (1 - figure) * (1 - BACKGROUND * (1 - grey))
    return np.round(INK + (PAPER - INK) * tone).astype(np.uint8)


def edges_of(
    picture: np.ndarray,  # (H, W, 3), uint8 RGB
    low: float,  # threshold of the gradient's length, of a step from black to white in 4
    high: float,
) -> np.ndarray:  # (H, W), uint8: 255 on an edge
    """Return Canny's edges as ComfyUI's node of that name finds them: sigma 1, Sobel, L2."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    smooth = cv2.GaussianBlur(grey, (5, 5), 1.0)
    return cv2.Canny(smooth, low * 255, high * 255, L2gradient=True)
