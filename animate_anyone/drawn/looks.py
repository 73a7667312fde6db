"""Other styles of a painted frame: an ink drawing, and its edges."""

import cv2
import numpy as np

PAPER = np.array([246, 240, 224], np.float32)  # RGB, 0..255
INK = np.array([22, 32, 92], np.float32)
LIGHTEST = 0.86  # lightest tone of the figure (1: paper), so that white clothes are visible
BACKGROUND = 0.22  # contrast that the background keeps, 0..1


def inked(
    picture: np.ndarray,  # (H, W, 3), uint8 RGB
    mask: np.ndarray,  # (H, W), uint8, 255 where the figure is
) -> np.ndarray:  # (H, W, 3), uint8 RGB
    """Return the frame as a wash drawing in blue ink on paper, with a faint background."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None] / 255
    figure = mask.astype(np.float32)[..., None] / 255
    tone = figure * LIGHTEST * grey + (1 - figure) * (1 - BACKGROUND * (1 - grey))
    return np.round(INK + (PAPER - INK) * tone).astype(np.uint8)


def edges_of(
    picture: np.ndarray,  # (H, W, 3), uint8 RGB
    low: float,  # threshold of the gradient's length; 4 is a step from black to white
    high: float,
) -> np.ndarray:  # (H, W), uint8: 255 on an edge
    """Return edges as computed by ComfyUI's Canny node: sigma 1, Sobel, L2 norm."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    smooth = cv2.GaussianBlur(grey, (5, 5), 1.0)
    return cv2.Canny(smooth, low * 255, high * 255, L2gradient=True)
