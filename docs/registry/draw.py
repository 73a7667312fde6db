"""Draws icon.png and banner.png, which the ComfyUI registry shows: `python docs/registry/draw.py`.

Characters and skeletons come from the project's own painters, so they belong to this project.
"""

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))  # the core, from a checkout that is not installed

from animate_anyone.drawn.characters import Character, make_character  # noqa: E402
from animate_anyone.drawn.clip import skeletons_of  # noqa: E402
from animate_anyone.drawn.motions import DEGREES_OF_FREEDOM  # noqa: E402
from animate_anyone.drawn.painting import paint  # noqa: E402
from animate_anyone.pose.drawing.draw import draw_frame  # noqa: E402
from animate_anyone.types import Size  # noqa: E402

ICON_PX = 400
BANNER = Size(1260, 540)  # 21:9
FINER = 2  # everything is drawn larger by this and averaged
TOP, BOTTOM = (38, 42, 74), (16, 17, 32)  # of the background, RGB
LIGHT, PALE = (246, 246, 250), (176, 182, 214)

SEED = 22  # of the character

STILL = dict.fromkeys(DEGREES_OF_FREEDOM, 0.0)
WAVE = STILL | {
    "right_arm": 0.7, "right_elbow": 0.9, "left_arm": 1.75, "left_elbow": 1.1,
    "right_leg": 0.2, "left_leg": 0.2,
}  # fmt: skip
DANCE = (  # poses, each with the share of the figure that is painted already
    (STILL | {"right_arm": 0.4, "left_arm": 0.4, "right_elbow": 0.5, "left_elbow": 0.5,
              "right_leg": 0.08, "left_leg": 0.08}, 0.0),
    (STILL | {"right_arm": 1.1, "left_arm": 0.4, "right_elbow": 1.9, "left_elbow": 0.9,
              "right_leg": 0.22, "left_leg": 0.12}, 0.5),
    (STILL | {"right_arm": 2.4, "left_arm": 2.4, "right_elbow": 0.5, "left_elbow": 0.5,
              "right_leg": 0.25, "left_leg": 0.25, "hop": 0.03}, 1.0),
    (STILL | {"right_arm": 0.4, "left_arm": 2.2, "right_elbow": 1.6, "left_elbow": 0.9,
              "right_leg": 0.25, "left_leg": 0.1, "lean": 0.08, "head_roll": -0.12}, 1.0),
)  # fmt: skip


def figure(
    character: Character,
    angles: dict[str, float],
    size: Size,
    *,
    painted: float,  # share from the left that is painted; the rest is skeleton
) -> tuple[np.ndarray, np.ndarray]:  # (H, W, 3) in 0..255; (H, W) in 0..1
    """Return a figure that turns from its picture into its skeleton, and where it is."""
    painting = paint(character, angles, size)
    drawn = draw_frame(skeletons_of([painting], size), 0, size, hands=False, face=False)
    thicker = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    skeleton = np.minimum(cv2.dilate(drawn, thicker).astype(np.float32) * 1.3, 255)
    bones = cv2.GaussianBlur(np.minimum(skeleton.max(axis=2) / 90, 1), (3, 3), 0)
    seam = np.interp(painted, [0, 0.5, 1], [0, painting.joints[1, 0], size.width])  # at the neck
    left = np.arange(size.width) < seam
    picture = np.where(left[:, None], painting.picture.astype(np.float32), skeleton)
    return picture, np.where(left, painting.mask.astype(np.float32) / 255, bones)


def background(size: Size) -> np.ndarray:  # (H, W, 3), 0..255
    """Return the evening sky behind everything: one colour turning into another."""
    down = np.linspace(0, 1, size.height, dtype=np.float32)[:, None, None]
    colours = np.array(TOP, np.float32) * (1 - down) + np.array(BOTTOM, np.float32) * down
    return np.broadcast_to(colours, (size.height, size.width, 3)).copy()


def put(
    picture: np.ndarray,  # (H, W, 3), 0..255; changed
    what: np.ndarray,  # (h, w, 3), 0..255
    cover: np.ndarray,  # (h, w), 0..1
    left: int,
) -> None:
    """Lay a picture over another, top edges together."""
    part = picture[: what.shape[0], left : left + what.shape[1]]
    part[:] = part * (1 - cover[..., None]) + what * cover[..., None]


def shrink(picture: np.ndarray, size: Size) -> Image.Image:
    """Return the picture at its final size."""
    small = cv2.resize(picture, (size.width, size.height), interpolation=cv2.INTER_AREA)
    return Image.fromarray(np.round(small).clip(0, 255).astype(np.uint8))


def somebody(seed: int) -> Character:
    """Return a character that stands whole in the middle of its picture."""
    drawn = make_character(np.random.default_rng(seed), close_up=False)
    return replace(drawn, centre=0.5, shoes=(240, 190, 70))


def icon(character: Character) -> Image.Image:
    """Return a figure that is half painted, half skeleton."""
    side = Size(ICON_PX * FINER, ICON_PX * FINER)
    picture = background(side)
    put(picture, *figure(replace(character, height=0.88, ground=0.95), WAVE, side, painted=0.5), 0)
    return shrink(picture, Size(ICON_PX, ICON_PX))


def banner(character: Character) -> Image.Image:
    """Return the project's name, and a character that takes over a skeleton's motion."""
    whole = Size(BANNER.width * FINER, BANNER.height * FINER)
    picture = background(whole)
    size = Size(whole.width // 4, whole.height)
    first, last = int(whole.width * 0.285), whole.width - size.width + int(whole.width * 0.015)
    places = np.linspace(first, last, len(DANCE)).astype(int)
    small = replace(character, height=0.66, ground=0.83)
    for (angles, painted), left in zip(DANCE, places.tolist(), strict=True):
        room = whole.width - left
        what, cover = figure(small, angles, size, painted=painted)
        put(picture, what[:, :room], cover[:, :room], left)
    shown = shrink(picture, BANNER)
    pen = ImageDraw.Draw(shown)
    pen.text((56, 178), "Animate", LIGHT, ImageFont.load_default(72))
    pen.text((56, 254), "Anyone", LIGHT, ImageFont.load_default(72))
    pen.text((60, 350), "for ComfyUI", PALE, ImageFont.load_default(30))
    return shown


if __name__ == "__main__":
    icon(somebody(SEED)).save(HERE / "icon.png", optimize=True)
    banner(somebody(SEED)).save(HERE / "banner.png", optimize=True)
