"""What models look like: bodies, clothes and poses."""

from dataclasses import dataclass

import cv2
import numpy as np

from ....drawn.characters import SKINS
from ....drawn.motions import Proportions, make_motion
from ....types import Size
from .mannequin import cloth
from .scenery import palette, texture

VIEWS = (0.42, 0.28, 0.3)  # shares of models seen from the front, from behind, from any side


@dataclass(frozen=True)
class Outfit:
    """What a model wears; lengths are 0..1 for the upper bone of a limb and 1..2 for the lower."""

    layers: dict[str, np.ndarray]  # (H, W, 3) per material
    sleeve: float
    trouser: float
    loose: float  # width of sleeves and trousers relative to the bare limb
    hem: float  # of dress or skirt; 0: none
    flare: float  # width of the hem beyond the legs, in widths of a leg
    pleats: float  # contrast
    neckline: float  # depth, shares of the torso; from behind too
    shoe: float  # height on the leg, shares of the shin; below 0: bare feet
    hair: float  # length below the head's centre, in radii; below 0: bald
    style: str  # open, tail, bun
    waist: float  # width relative to that of the hips


def model_angles(rng: np.random.Generator) -> dict[str, float]:
    """Return a pose: standing, walking, a hand on the hip or at the face, dancing."""
    angles = make_motion(rng).angles(float(rng.uniform(0, 400)))
    side = rng.choice(["front", "back", "any"], p=VIEWS)
    yaw = rng.uniform(-np.pi, np.pi) if side == "any" else rng.normal(0, 0.45)
    yaw += np.pi if side == "back" else 0.0
    angles |= {
        "yaw": float(yaw),
        "lean": float(rng.normal(0, 0.07)),
        "head_yaw": float(rng.normal(0, 0.3)),
        "head_roll": float(rng.normal(0, 0.12)),
        "shift": 0.0,
        "hop": 0.0,
    }
    lively = rng.random() < 0.5
    for side in ("right", "left"):
        spread = abs(rng.normal(0.25, 0.3)) if lively else abs(rng.normal(0.02, 0.06))
        angles[f"{side}_leg"] = float(spread)
        angles[f"{side}_leg_depth"] = float(rng.normal(0.05, 0.35 if lively else 0.1))
        bend = abs(rng.normal(0, 0.5)) if lively else abs(rng.normal(0, 0.12))
        angles[f"{side}_knee"] = float(bend)
        angles |= _arm_angles(rng, side, lively=lively)
    return angles


def _arm_angles(rng: np.random.Generator, side: str, *, lively: bool) -> dict[str, float]:
    kind = rng.choice(
        ["hangs", "bent in", "at the face", "anyhow"],
        p=[0.15, 0.25, 0.15, 0.45] if lively else [0.72, 0.14, 0.04, 0.1],
    )
    if kind == "hangs":
        values = (abs(rng.normal(0.13, 0.1)), rng.normal(0, 0.15), rng.normal(0.0, 0.15))
    elif kind == "bent in":  # hands on the hips, before the body
        values = (rng.uniform(0.2, 1.1), rng.uniform(0.0, 0.7), rng.uniform(-2.2, -0.6))
    elif kind == "at the face":
        values = (rng.uniform(0.2, 1.5), rng.uniform(0.3, 1.1), rng.uniform(-3.4, -2.2))
    else:
        values = (rng.uniform(0.0, 3.0), rng.uniform(-0.4, 0.8), rng.uniform(-0.4, 2.3))
    return dict(
        zip((f"{side}_arm", f"{side}_arm_depth", f"{side}_elbow"), map(float, values), strict=True)
    )


def model_body(rng: np.random.Generator) -> Proportions:
    """Return the proportions of adults, mostly slim."""
    head, neck = rng.uniform(0.054, 0.08), rng.uniform(0.035, 0.08)
    rest = 1 - 2 * head - neck
    torso = rest * rng.uniform(0.375, 0.44)
    legs = rest - torso
    arms = torso * rng.uniform(0.98, 1.2)
    sturdy = float(np.exp(rng.normal(0, 0.17)))
    return Proportions(
        head=head, neck=neck, torso=torso,
        shoulders=rng.uniform(0.155, 0.215) * sturdy**0.4,
        hips=rng.uniform(0.085, 0.145) * sturdy**0.4,
        upper_arm=arms * rng.uniform(0.5, 0.55), forearm=arms * rng.uniform(0.43, 0.5),
        thigh=legs * rng.uniform(0.475, 0.525), shin=legs * rng.uniform(0.475, 0.525),
        arm_width=0.026 * sturdy, leg_width=0.042 * sturdy,
    )  # fmt: skip


def dressed(rng: np.random.Generator, size: Size) -> Outfit:
    tone = np.array(SKINS[rng.integers(len(SKINS))], np.float32) + rng.normal(0, 10, 3)
    skin = cloth(rng, size, np.clip(tone, 20, 255), 0.12)
    brown = np.array([70.0, 45.0, 30.0]) * rng.uniform(0.2, 2.8) + rng.normal(0, 8, 3)
    layers = {"skin": skin, "hair": cloth(rng, size, np.clip(brown, 5, 250), 0.4)}
    for name in ("top", "bottom", "shoes"):
        layers[name] = _material(rng, size)
    dress = rng.random() < 0.4
    skirt = not dress and rng.random() < 0.4
    if dress:
        layers["bottom"] = layers["top"]
    if rng.random() < 0.2:
        layers["shoes"] = cloth(rng, size, np.full(3, rng.choice([12.0, 30.0, 230.0])), 0.3)
    bare = rng.random()
    return Outfit(
        layers=layers,
        sleeve=float(rng.choice([0.0, 0.25, 0.55, 1.2, 1.95], p=[0.3, 0.15, 0.2, 0.05, 0.3])),
        trouser=0.0 if dress or skirt else float(rng.choice([0.35, 0.9, 1.9], p=[0.3, 0.1, 0.6])),
        loose=float(rng.choice([rng.uniform(1.0, 1.15), rng.uniform(1.15, 1.7)])),
        hem=float(rng.uniform(0.3, 1.25) if rng.random() < 0.8 else rng.uniform(1.2, 1.95))
        if dress or skirt
        else 0.0,
        flare=float(abs(rng.normal(0, 0.25)) if rng.random() < 0.55 else rng.uniform(0.3, 2.4)),
        pleats=float(rng.uniform(0.1, 0.5)) if rng.random() < 0.35 else 0.0,
        neckline=float(rng.uniform(0.0, 0.16) if rng.random() < 0.85 else rng.uniform(0.2, 0.6)),
        shoe=-1.0 if bare < 0.12 else 0.0 if bare < 0.7 else float(rng.uniform(0.1, 0.8)),
        hair=float(rng.choice([-1.0, 0.3, 1.2, 2.2, 3.5], p=[0.05, 0.3, 0.2, 0.25, 0.2])),
        style=str(rng.choice(["open", "tail", "bun"], p=[0.6, 0.22, 0.18])),
        waist=float(rng.uniform(0.72, 1.02)),
    )


def _material(rng: np.random.Generator, size: Size) -> np.ndarray:
    kind = rng.random()
    if kind < 0.15:
        return texture(rng, size)
    if kind < 0.22:  # sequins, prints
        fine = rng.random((size.height // 2 + 1, size.width // 2 + 1, 1), np.float32)
        grain = cv2.resize(fine, (size.width, size.height), interpolation=cv2.INTER_LINEAR)
        first, second = palette(rng, 2)
        return (first + (second - first) * grain[..., None]).astype(np.uint8)
    if kind < 0.5:  # white, grey, black
        colour = np.full(3, rng.choice([14.0, 30.0, 60.0, 130.0, 215.0, 245.0])) + rng.normal(0, 4)
    elif kind < 0.75:
        hsv = np.array([[[rng.uniform(0, 180), rng.uniform(120, 255), rng.uniform(90, 255)]]])
        colour = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)[0, 0].astype(np.float64)
    else:
        colour = palette(rng, 1)[0]
    return cloth(rng, size, np.clip(colour, 0, 255), 0.3)
