"""Coordinates and confidences in units, axes and places of their own."""

import json
from typing import Any

import numpy as np

from animate_anyone.pose.files.keypoints import Reading, to_keypoints
from animate_anyone.pose.skeleton.joints import body_clip

from ..case import Case, MismatchError
from ..figure import CANVAS, FRAMES, HANDS, OPENPOSE, keypoint_case, points, triples
from .judging import SIZE, clip_of, confidences, figures, judged, told

_W, _H = CANVAS.width, CANVAS.height
_BOX = [38.0, 20.0, 50.0, 100.0]  # x, y, width, height of the figure


def _boxed(convert: Any, box: list[Any]) -> list[dict[str, Any]]:  # noqa: ANN401
    return clip_of(*figures(convert), bbox=box)


def _percent() -> list[dict[str, Any]]:
    bodies = figures(lambda x, y, c: (x, y, 100 * c))
    bodies[0][2], bodies[0][5] = 3, 45.5
    return clip_of(*bodies)


def _raw() -> list[dict[str, Any]]:
    bodies = figures(lambda x, y, c: (x, y, 1 + c))
    bodies[0][2], bodies[0][5] = 0.25, 7.5
    return clip_of(*bodies)


def _own(
    away: float, scale: float = 1.0, *, faint: float = 0.9, upwards: bool = False
) -> list[dict[str, Any]]:
    """Return the figure as this pack writes it, moved or scaled."""
    xy = np.array([[points(OPENPOSE, t)] for t in range(FRAMES)]) * scale + away
    if upwards:
        xy[..., 1] = _H - xy[..., 1]
    return to_keypoints(body_clip(CANVAS, xy, np.full(xy.shape[:3], faint)))


# A horse from the side: eyes, nose, neck, root of the tail, fore legs, hind legs.
_HORSE = (
    *((12, 22), (14, 22), (5, 33), (30, 40), (88, 42), (28, 58), (32, 75), (36, 95)),
    *((31, 58), (26, 75), (21, 95), (80, 58), (74, 75), (68, 95), (84, 58), (87, 75), (90, 95)),
)
_BODY = triples(OPENPOSE)


def every_confidence(reading: Reading, wanted: float) -> str:
    """Return the confidence of all points; MismatchError for another one."""
    found = reading.clip.body.confidence[:, 0]
    if np.abs(found - wanted).max() > 1e-6:
        raise MismatchError(f"confidences go from {found.min():g} to {found.max():g}")
    return f"all confidences are {wanted:g}"


UNITS: tuple[Case, ...] = (
    judged(
        "confidences in percent",
        _percent(),
        confidences(0.03, 0.455, 0.9),
        "3 % is .03 and faint; told",
        ["confidences are percentages"],
    ),
    judged(
        "confidences in percent, of the second frame in 0..1",
        clip_of(
            *[[x for p in points(OPENPOSE, t) for x in (*p, (90, 0.9, 90)[t])] for t in range(3)]
        ),
        lambda r: every_confidence(r, 0.9),
        "0.9 in all frames; told",
        ["percentages: body in 2 of 3 lists, the others are 0..1"],
    ),
    told(
        "confidences in percent and in 0..1 in one list",
        clip_of(
            *[
                [x for i, p in enumerate(points(OPENPOSE, t)) for x in (*p, (90, 0.9)[i % 3 == 0])]
                for t in range(FRAMES)
            ]
        ),
        "hold confidences within 0..1 beside percentages",
    ),
    told(
        "x, y, depth in 0..1, with confidences in a list of their own",
        clip_of(
            *[
                [x for i, p in enumerate(points(OPENPOSE, t)) for x in (*p, (i + 1) / 20)]
                for t in range(FRAMES)
            ],
            scores=[0.9, 0.8] * 9,
        ),
        "confidences stand apart (scores)",
    ),
    told(
        "x, y, depth in 0..1 of a turned body",
        clip_of(*figures(lambda x, y, c: (x, y, x / _W))),
        "rise with their places, as depths do",
    ),
    keypoint_case(
        "17 points of an animal in the order of AP-10K, without names",
        clip_of(*[[v for x, y in _HORSE for v in (x + 2 * t, y, 0.9)] for t in range(FRAMES)]),
        refusal="lie as those of animals do",
    ),
    judged("raw scores of a network, up to 7.5", _raw(), confidences(0.25, 1, 1), "at most 1"),
    keypoint_case(
        "confidences of 0..255",
        clip_of(*figures(lambda x, y, c: (x, y, 230))),
        refusal="are no confidences",
    ),
    keypoint_case(
        "true instead of a confidence",
        clip_of(*[[[x, y, True] for x, y in points(OPENPOSE, t)] for t in range(FRAMES)]),
    ),
    keypoint_case(
        "COCO's flags: 1 hidden, 2 seen",
        clip_of(*figures(lambda x, y, c: (x, y, 1 if x < 64 else 2))),
    ),
    told("confidence 0 throughout", clip_of(*figures(lambda x, y, c: (x, y, 0))), "nobody is seen"),
    told(
        "confidence NaN throughout",
        clip_of(*figures(lambda x, y, c: (x, y, float("nan")))),
        "nobody is seen",
    ),
    told(
        "confidences of a heat map, about 0.1",
        clip_of(*figures(lambda x, y, c: (x, y, 0.1))),
        "have a confidence below 0.3",
    ),
    told(
        "-1..1 with y upwards",
        clip_of(*figures(lambda x, y, c: (2 * x / _W - 1, 1 - 2 * y / _H, c))),
        "stand on their heads",
    ),
    told(
        "pixels with y upwards",
        clip_of(*figures(lambda x, y, c: (x, _H - y, c))),
        "stand on their heads",
    ),
    told(
        "pixels below an origin at the top: y negative",
        clip_of(*figures(lambda x, y, c: (x, -y, c))),
        "lie off the canvas",
    ),
    told(
        "y, x instead of x, y",
        clip_of(*figures(lambda x, y, c: (y, x, c))),
        "lie on their sides",
    ),
    told(
        "y, x in fractions",
        clip_of(*figures(lambda x, y, c: (y / _H, x / _W, c))),
        "lie on their sides",
    ),
    told(
        "pixels from the middle of the canvas",
        clip_of(*figures(lambda x, y, c: (x - _W / 2, y - _H / 2, c))),
        "lie off the canvas",
    ),
    told(
        "pixels of a box, which is beside them",
        _boxed(lambda x, y, c: (x - 38, y - 20, c), _BOX),
        "outside of the boxes",
    ),
    told(
        "fractions of a box, which is beside them",
        _boxed(lambda x, y, c: ((x - 38) / 56, (y - 20) / 104, c), _BOX),
        "outside of the boxes",
    ),
    keypoint_case(
        "pixels with a box of corners", _boxed(lambda x, y, c: (x, y, c), [[36, 18, 100, 130]])
    ),
    keypoint_case(
        "pixels with a box of sizes", _boxed(lambda x, y, c: (x, y, c), [36, 18, 64, 112])
    ),
    keypoint_case(
        "fractions with a box in fractions",
        _boxed(lambda x, y, c: (x / _W, y / _H, c), [36 / _W, 18 / _H, 64 / _W, 112 / _H]),
        notes=["coordinates are 0..1"],
    ),
    told(
        "coordinates of 0..100 on a canvas of 1920x1080",
        [
            frame | {"canvas_width": 1920, "canvas_height": 1080}
            for frame in clip_of(*figures(lambda x, y, c: (100 * x / _W, 100 * y / _H, c)))
        ],
        "pixels large on the canvas 1920x1080",
    ),
    told(
        "coordinates of 0..1000 on a canvas of 128x160",
        clip_of(*figures(lambda x, y, c: (1000 * x / _W, 1000 * y / _H, c))),
        "lie off the canvas",
    ),
    keypoint_case(
        "x, y, z, confidence, flat",
        clip_of(*figures(lambda x, y, c: (x, y, 12.5, c))),
        notes=["four numbers"],
    ),
    keypoint_case(
        "x, y, z, confidence, flat, z in metres",
        clip_of(*figures(lambda x, y, c: (x, y, -0.4, c))),
        notes=["four numbers"],
    ),
    keypoint_case(
        "x, y, z, confidence, nested",
        clip_of(*[[[x, y, 12.5, 0.9] for x, y in points(OPENPOSE, t)] for t in range(FRAMES)]),
    ),
    keypoint_case(
        "x, y, z in metres, nested, without confidence",
        clip_of(*[[[x, y, (x - 64) / 60] for x, y in points(OPENPOSE, t)] for t in range(FRAMES)]),
        refusal="are no confidences",
    ),
    keypoint_case(
        "all x, then all y, then all confidences",
        clip_of(
            *[
                [[*xs], [*ys], [0.9] * 18]
                for xs, ys in [zip(*points(OPENPOSE, t), strict=True) for t in range(FRAMES)]
            ]
        ),
        refusal="it must be a flat list",
    ),
    keypoint_case(
        "numbers as text",
        clip_of(*[[str(v) for v in body] for body in figures(lambda x, y, c: (x, y, c))]),
        refusal="it must be a flat list",
    ),
    keypoint_case(
        "numbers with a decimal comma",
        clip_of([[f"{x},5", f"{y},5", "0,9"] for x, y in points(OPENPOSE)]),
        refusal="it must be a flat list",
    ),
    keypoint_case(
        "numbers beyond all bounds (1e400)",
        '{"people": [{"pose_keypoints_2d": '
        + json.dumps([*_BODY[:-3]])[:-1]
        + ', 1e400, 5, 1]}], "canvas_width": 128, "canvas_height": 160}',
        frames=1,
        seen=OPENPOSE[:-1],
    ),
    keypoint_case(
        "canvas as text",
        [frame | {"canvas_width": "128", "canvas_height": "160"} for frame in clip_of(_BODY)],
        frames=1,
    ),
    keypoint_case(
        "canvas with broken pixels",
        [frame | {"canvas_width": 128.0, "canvas_height": 160.4} for frame in clip_of(_BODY)],
        expected="its whole pixels, points within 0.01 px",
        frames=1,
    ),
    keypoint_case(
        "canvas height alone",
        [{"people": [{"pose_keypoints_2d": _BODY}], "canvas_height": 160}],
        refusal="got canvas None x 160",
    ),
    keypoint_case(
        "canvas in the first frame alone",
        [*clip_of(_BODY), {"people": [{"pose_keypoints_2d": triples(OPENPOSE, 1)}]}],
        refusal="frame 1 got canvas None x None",
    ),
    told(
        "canvas of the second frame turned",
        [
            *clip_of(_BODY),
            *[f | {"canvas_width": 160, "canvas_height": 128} for f in clip_of(_BODY)],
        ],
        "the canvas changes from 128 x 160 to 160 x 128",
    ),
    keypoint_case(
        "hands alone, in fractions",
        [
            {
                "people": [
                    {
                        "hand_left_keypoints_2d": [
                            v / (1 if i % 3 == 2 else (_W, _H)[i % 3])
                            for i, v in enumerate(triples(HANDS["left_hand"], t))
                        ]
                    }
                ],
                **SIZE,
            }
            for t in range(FRAMES)
        ],
        seen=HANDS["left_hand"],
        notes=["coordinates are 0..1"],
    ),
    told("this pack's own file, off its canvas", _own(500), "lie off the canvas"),
    told("this pack's own file, turned into fractions", _own(0, 1 / 160), "pixels large on the"),
    told("this pack's own file, points faint", _own(0, faint=0.2), "have a confidence below 0.3"),
    told("this pack's own file, y upwards", _own(0, upwards=True), "stand on their heads"),
    keypoint_case(
        "this pack's frames beside those of another, in fractions",
        [*_own(0)[:1], *clip_of(*figures(lambda x, y, c: (x / _W, y / _H, c))[1:])],
        notes=["coordinates of body are 0..1 of the canvas in 2 of 3 frames"],
    ),
    told(
        "a single frame, far off the canvas",
        clip_of(
            *[
                [
                    v + (900 if t == 1 and i % 3 == 0 else 0)
                    for i, v in enumerate(triples(OPENPOSE, t))
                ]
                for t in range(1, 2)
            ]
        ),
        "lie off the canvas",
    ),
)
