import io
import tracemalloc
from collections.abc import Iterator

import av
import numpy as np
import pytest

from animate_anyone import opencv as cv2
from animate_anyone.errors import InputError
from animate_anyone.pose.drawing.draw import draw_pose
from animate_anyone.pose.drawing.read_back import read_skeleton_frames
from animate_anyone.pose.skeleton.joints import BODY_EDGES, COLOURS, body_clip, empty_points
from animate_anyone.types import Points, PoseClip, Size

CANVAS = Size(512, 704)
# fmt: off
STANDING = np.array((
    256, 110, 256, 180, 200, 182, 180, 270, 170, 350, 312, 182, 340, 266, 362, 340, 222, 370,
    214, 500, 210, 630, 290, 370, 300, 500, 306, 630, 240, 98, 272, 98, 222, 106, 290, 106,
), float).reshape(18, 2)
# fmt: on
HANDS = {"right_hand": 4, "left_hand": 7}


def walking(frames: int = 4, face: bool = False) -> PoseClip:
    """Return a person whose joints move a few pixels from frame to frame, with open hands."""
    rng = np.random.default_rng(0)
    xy = STANDING + rng.uniform(-8, 8, (frames, 18, 2))
    clip = body_clip(CANVAS, xy[:, None])
    steps = np.array([(0, 0), *((6 * k, 10 * n) for k in range(-2, 3) for n in range(1, 5))])
    parts = {
        name: Points(
            xy=(xy[:, None, [wrist]] + steps + (0, 14)), confidence=np.ones((frames, 1, 21))
        )
        for name, wrist in HANDS.items()
    }
    points = empty_points(frames, 1, 68)
    if face:
        turn = np.linspace(0, 2 * np.pi, 68)
        ring = np.column_stack((24 * np.sin(turn), 28 * np.cos(turn)))
        points = Points(xy=xy[:, None, [0]] + ring, confidence=np.ones((frames, 1, 68)))
    return PoseClip(canvas=CANVAS, body=clip.body, face=points, feet=clip.feet, **parts)


def compressed(pictures: np.ndarray) -> Iterator[np.ndarray]:
    """Return the pictures after H.264 with subsampled chroma."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=30)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    file.seek(0)
    with av.open(file) as clip:
        for frame in clip.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def errors(found: PoseClip, true: PoseClip) -> np.ndarray:  # (f, 18), pixels
    return np.linalg.norm(found.body.xy - true.body.xy, axis=-1)[:, 0]


@pytest.mark.parametrize(
    ("size", "bound"),
    [(CANVAS, 1.5), (Size(256, 352), 3.0)],
    ids=["512", "256"],
)
@pytest.mark.parametrize("video", [False, True], ids=["clean", "h264"])
def test_the_body_is_read_within_a_pixel_of_the_picture(
    size: Size, bound: float, video: bool
) -> None:
    true = walking()
    pictures = draw_pose(true, size)
    clip, report = read_skeleton_frames(compressed(pictures) if video else pictures, CANVAS)

    assert clip.canvas == CANVAS
    assert (clip.body.confidence > 0.5).mean() > 0.97
    assert report.seen > 0.97
    assert not report.swapped
    assert np.median(errors(clip, true)) < bound / 2
    assert errors(clip, true)[clip.body.confidence[:, 0] > 0.5].max() < bound


@pytest.mark.parametrize("size", [Size(768, 1056), Size(1080, 1484)], ids=["768", "1080"])
@pytest.mark.parametrize("video", [False, True], ids=["clean", "h264"])
def test_lines_that_do_not_grow_with_the_canvas_are_read_at_its_size(
    size: Size, video: bool
) -> None:
    true = walking()
    pictures = draw_pose(true, size, fixed_width=True)
    clip, report = read_skeleton_frames(compressed(pictures) if video else pictures, CANVAS)

    assert report.seen > 0.97
    assert ("as one with a short side of 1080 pixels" in str(report)) == (size.width == 1080)
    assert errors(clip, true)[clip.body.confidence[:, 0] > 0.5].max() < 1.5


def test_lines_that_are_narrow_at_a_small_size_are_read_larger() -> None:
    true = walking()
    pictures = draw_pose(true, Size(1536, 2112), fixed_width=True)
    small = np.stack([cv2.resize(p, (512, 704), interpolation=cv2.INTER_AREA) for p in pictures])
    clip, report = read_skeleton_frames(small)

    assert report.seen > 0.97
    assert report.line_side == 1024
    assert errors(clip, true)[clip.body.confidence[:, 0] > 0.5].max() < 1.5


@pytest.mark.parametrize("line", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3))])
def test_no_joint_is_taken_from_the_lines_of_a_hand(line: int) -> None:
    rng = np.random.default_rng(line)
    true = walking(24)
    true.body.confidence[:, 0, [0, 1, 14, 15, 16, 17]] = 0
    for name, wrist in HANDS.items():
        spread = rng.uniform(-45, 45, (24, 1, 21, 2))
        getattr(true, name).xy[:] = true.body.xy[:, :, [wrist]] + (0, 60) + spread
    size = Size(CANVAS.width * line, CANVAS.height * line)
    pictures = draw_pose(true, size)
    clip, _ = read_skeleton_frames(compressed(pictures), CANVAS)

    assert not clip.body.confidence[:, 0, [0, 1, 14, 15, 16, 17]].any()


def test_a_disc_is_found_behind_many_lines_of_its_colour_in_a_hand() -> None:
    rng = np.random.default_rng(0)
    true = walking(24)
    for name, wrist in HANDS.items():
        spread = rng.uniform(-45, 45, (24, 1, 21, 2))
        getattr(true, name).xy[:] = true.body.xy[:, :, [wrist]] + (0, 60) + spread
    clip, _ = read_skeleton_frames(compressed(draw_pose(true)))
    head = [0, 1, 14, 15, 16, 17]

    assert (clip.body.confidence[:, 0, head] > 0.5).mean() > 0.99
    assert errors(clip, true)[:, head].max() < 3


def test_reading_and_drawing_again_gives_the_same_picture() -> None:
    true = body_clip(CANVAS, walking(2).body.xy)
    pictures = draw_pose(true)
    again = draw_pose(read_skeleton_frames(pictures)[0])

    assert (again[pictures.any(-1)] == pictures[pictures.any(-1)]).all(-1).mean() > 0.9


def test_exchanged_red_and_blue_are_recognised() -> None:
    pictures = draw_pose(walking(2))
    clip, report = read_skeleton_frames(pictures)
    turned, other = read_skeleton_frames(pictures[..., ::-1])

    assert (report.swapped, other.swapped) == (False, True)
    assert np.array_equal(clip.body.xy, turned.body.xy)
    assert "exchanged" in str(other)


def test_nose_under_the_face_is_estimated_from_its_limb() -> None:
    true = walking(face=True)
    true.body.confidence[:, 0, 14:] = 0
    pictures = draw_pose(true)
    rows, columns = np.indices(pictures.shape[1:3])
    for picture, (x, y) in zip(pictures, true.body.xy[:, 0, 0], strict=True):
        picture[(rows - y) ** 2 + (columns - x) ** 2 < 15**2] = 255
    clip, report = read_skeleton_frames(pictures)

    assert (clip.body.confidence[:, 0, 0] == 0.4).all()
    assert errors(clip, true)[:, 0].max() < 12
    assert report.estimated == pytest.approx(1 / 18)


def test_missing_joints_stay_missing() -> None:
    true = walking()
    true.body.confidence[:, 0, [3, 4, 13, 17]] = 0
    clip, _ = read_skeleton_frames(draw_pose(true))

    assert not clip.body.confidence[:, 0, [3, 4, 13, 17]].any()
    assert not clip.left_hand.confidence.any()
    assert not clip.face.confidence.any()


def test_mixed_colours_beside_a_hip_are_no_thigh() -> None:
    true = walking(1)
    true.body.confidence[:, 0, [9, 10, 12, 13]] = 0  # a half body: the hips are the last joints
    pictures = draw_pose(true)
    neck, hip = true.body.xy[0, 0, 1], true.body.xy[0, 0, 8]
    for share in np.linspace(0.05, 0.97, 40):  # along the trunk, as compression mixes green and
        x, y = (hip + share * (neck - hip)).astype(int)  # blue there: the hue of the thigh
        pictures[0, y, x + 3] = (0, 150, 50)
    clip, _ = read_skeleton_frames(pictures)

    assert clip.body.confidence[0, 0, 8] > 0.5
    assert not clip.body.confidence[:, 0, [9, 10, 12, 13]].any()


def test_frames_without_a_skeleton_are_reported() -> None:
    pictures = draw_pose(walking(3))
    pictures[1] = 0
    clip, report = read_skeleton_frames(iter(pictures))

    assert report.frames == len(clip) == 3
    assert report.empty_frames == (1,)
    assert not clip.body.confidence[1].any()


def test_a_clip_of_something_else_has_no_skeleton() -> None:
    grey = np.full((2, 64, 48, 3), 128, np.uint8)
    clip, report = read_skeleton_frames(grey)

    assert report.empty_frames == (0, 1)
    assert not clip.body.confidence.any()
    assert np.isfinite(clip.body.xy).all()


def test_pictures_full_of_colour_have_no_skeleton_and_take_little_memory() -> None:
    rng = np.random.default_rng(0)
    green = np.full((512, 512, 3), (0, 255, 0), np.uint8)
    tracemalloc.start()
    clip, report = read_skeleton_frames([green, rng.integers(0, 256, green.shape, np.uint8)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert report.empty_frames == (0, 1)
    assert not clip.body.confidence.any()
    assert peak < 300e6


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "frames got none"),
        ([np.zeros((4, 4), np.uint8)], r"frame 0 of shape \(4, 4\)"),
        ([np.zeros((4, 4, 3), np.float32)], "frame 0 of shape .* float32"),
        ([np.zeros((0, 4, 3), np.uint8)], "frame 0 of shape"),
        (
            [np.zeros((40, 8, 3), np.uint8)],
            "frame 0 of 8 x 40 pixels; both sides must be at least 16",
        ),
        ([np.zeros((40, 40, 3), np.uint8), np.zeros((40, 60, 3), np.uint8)], "frame 1 of 60 x 40"),
    ],
    ids=["none", "flat", "float", "empty", "tiny", "two sizes"],
)
def test_invalid_frames_raise_with_their_number(frames: list[np.ndarray], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_skeleton_frames(frames)


def test_a_clip_of_which_little_is_read_says_so() -> None:
    thin = np.zeros((3, CANVAS.height, CANVAS.width, 3), np.uint8)
    cv2 = pytest.importorskip("cv2")
    for picture in thin:
        for (a, b), colour in zip(BODY_EDGES, COLOURS, strict=False):
            ends = (tuple(map(int, STANDING[end])) for end in (a, b))
            cv2.line(picture, *ends, colour, 1)
    _, report = read_skeleton_frames(thin)
    assert "Less than half of the joints were read" in str(report)
    _, usual = read_skeleton_frames(draw_pose(walking()))
    assert "Less than half" not in str(usual)
    assert "as far as" not in str(usual)


def test_the_order_of_colours_is_called_uncertain_where_few_limbs_tell_it() -> None:
    clip = walking(1)
    confidence = np.zeros_like(clip.body.confidence)
    confidence[..., 2:5] = 1  # one arm
    arm = body_clip(CANVAS, clip.body.xy, confidence)
    _, report = read_skeleton_frames(draw_pose(arm))
    assert not report.certain
    assert "colours in order, as far as the few limbs tell" in str(report)
