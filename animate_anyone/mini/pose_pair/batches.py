"""Batches for both networks: crops and letterboxed pictures, with random augmentation."""

import cv2
import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from ...pose.networks.estimator import DEVIATION, MEAN, crop_windows
from .wholebody import MIRROR

GREY = 114  # of the letterbox
EMPTY = 0.12  # share of crops without a person, in which no point is visible

Scenes = dict[str, np.ndarray]  # from scenes.read_scenes


def detector_batch(
    scenes: Scenes, rng: np.random.Generator, *, batch: int, size: int
) -> tuple[Tensor, Tensor]:  # (b, 3, size, size) BGR 0..255; (b, p, 4) boxes in its pixels
    """Draw letterboxed pictures."""
    images, boxes = [], []
    for index in rng.choice(len(scenes["pictures"]), batch):
        image, found = _letterboxed(scenes, index, rng, size)
        images.append(disturbed(image, rng)[..., ::-1])
        boxes.append(found)
    pixels = rearrange(torch.from_numpy(np.stack(images)), "b H W c -> b c H W").float()
    return pixels, torch.from_numpy(np.stack(boxes)).float()


def _letterboxed(
    scenes: Scenes, index: int, rng: np.random.Generator, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture, or a window of it, in the top left of a grey square, and its boxes."""
    width, height = scenes["sizes"][index]
    extent = np.array([width, height], np.float64)
    if rng.random() < 0.4:
        extent *= rng.uniform(0.7, 1, 2)
    corner = rng.uniform(0, 1, 2) * ((width, height) - extent)
    scale = size / extent.max()
    matrix = np.array([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
    moved = (scenes["boxes"][index].astype(np.float64) - np.tile(corner, 2)) * scale
    filled = np.maximum((extent * scale).astype(int), 1)
    picture = scenes["pictures"][index, :height, :width]
    image = np.full((size, size, 3), GREY, np.uint8)
    image[: filled[1], : filled[0]] = cv2.warpAffine(
        picture, matrix, filled.tolist(), borderMode=cv2.BORDER_REPLICATE
    )
    nobody = scenes["boxes"][index, :, 2] == 0
    shown = np.clip(moved, 0, np.tile(filled, 2))
    nobody |= (shown[:, 2:] - shown[:, :2]).min(1) < 6
    shown[nobody] = 0
    if rng.random() < 0.5:
        image[: filled[1], : filled[0]] = image[: filled[1], : filled[0]][:, ::-1].copy()
        shown[~nobody] = (filled[0], 0, filled[0], 0) - shown[~nobody][:, [2, 1, 0, 3]] * [
            1,
            -1,
            1,
            -1,
        ]
    return image, shown


def estimator_batch(
    scenes: Scenes, rng: np.random.Generator, *, batch: int, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:  # (b, 3, H, W) normalised; (b, 133, 2); (b, 133) bool
    """Draw crops around people, with boxes as a detector might return them, and empty crops."""
    there = scenes["boxes"][..., 2] > 0
    people, nobody = np.argwhere(there), np.flatnonzero(~there.any(1))
    chosen = people[rng.choice(len(people), batch)]
    crops, points, shown = [], [], []
    for index, person in chosen:
        box = scenes["boxes"][index, person]
        if len(nobody) and rng.random() < EMPTY:
            index = rng.choice(nobody)
            box = _anywhere(scenes["sizes"][index], rng)
        width, height = scenes["sizes"][index]
        matrix = _jittered(box, rng, size)
        picture = scenes["pictures"][index, :height, :width]
        crop = cv2.warpAffine(picture, matrix, size[::-1])
        xy = scenes["xy"][index, person] @ matrix[:, :2].T + matrix[:, 2]
        visible = scenes["visible"][index, person]
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
            xy, visible = (xy * [-1, 1] + [size[1] - 1, 0])[MIRROR], visible[MIRROR]
        crops.append(normalised(disturbed(np.ascontiguousarray(crop), rng)))
        points.append(xy)
        shown.append(visible & (xy >= 0).all(1) & (xy < size[::-1]).all(1))
    pixels = rearrange(torch.from_numpy(np.stack(crops)), "b H W c -> b c H W")
    return pixels, torch.from_numpy(np.stack(points)).float(), torch.from_numpy(np.stack(shown))


def _anywhere(extent: np.ndarray, rng: np.random.Generator) -> np.ndarray:  # (4,), pixels
    """Return a random box in a picture of this width and height."""
    sides = extent * rng.uniform(0.15, 1, 2)
    corner = rng.uniform(0, 1, 2) * (extent - sides)
    return np.concatenate([corner, corner + sides])


def _jittered(
    box: np.ndarray,  # (4,), pixels
    rng: np.random.Generator,
    size: tuple[int, int],  # height and width
) -> np.ndarray:  # (2, 3)
    """Return the affine map from picture to crop, for a slightly displaced and rotated box."""
    extent = box[2:] - box[:2]
    noisy = box + rng.normal(0, 0.04, 4) * np.tile(extent, 2)
    matrix = crop_matrix(noisy, size)
    middle = ((size[1] - 1) / 2, (size[0] - 1) / 2)
    degrees, zoom = float(rng.normal(0, 6)), float(np.exp(rng.normal(0, 0.06)))
    turn = cv2.getRotationMatrix2D(middle, degrees, zoom)
    whole = np.vstack([matrix, [0, 0, 1]])
    return turn @ whole


def crop_matrix(
    box: np.ndarray,  # (4,): left, top, right, bottom
    size: tuple[int, int],  # height and width of the crop, pixels
) -> np.ndarray:  # (2, 3)
    """Return the affine map from picture to crop."""
    left, top, across, _ = crop_windows(box[None], size[1], size[0])[0]
    scale = size[1] / across
    return np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])


def normalised(picture: np.ndarray) -> np.ndarray:
    """Return RGB pixels (..., 3) of 0..255 normalised for the estimator, float32."""
    mean, deviation = np.array([MEAN, DEVIATION], np.float32)
    return (picture.astype(np.float32) - mean) / deviation


def disturbed(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a picture (H, W, 3), uint8, with random changes of light, blur, noise, compression."""
    if rng.random() < 0.7:
        gain = rng.uniform(0.7, 1.3) * rng.uniform(0.9, 1.1, 3)
        shade = picture * gain.astype(np.float32) + rng.uniform(-25, 25)
        picture = np.clip(shade, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.3, 1.2)))
    if rng.random() < 0.3:
        grain = rng.normal(0, rng.uniform(1, 8), picture.shape).astype(np.float32)
        picture = np.clip(picture + grain, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = int(rng.integers(30, 95))
        _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))
    return picture
