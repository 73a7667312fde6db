from pathlib import Path

import av
import numpy as np
import pytest
from av.filter import Graph
from colour_patches import ALPHAS, COLOURS, HEIGHTS, middles, patches, shown

from animate_anyone.errors import InputError
from animate_anyone.media import VideoWriter
from animate_anyone.types import Size

LEVELS = 3  # of 255, between a frame and what is shown
LUMA_WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114)}  # of red and blue, by matrix (H.273)
WITH_ALPHA = {".webm": "libvpx-vp9"}  # FFmpeg's own decoder of VP9 leaves alpha out


def write(path: Path, frames: np.ndarray, crf: int = 16) -> None:
    size = Size(frames.shape[2], frames.shape[1])
    with VideoWriter(path, size, 24, crf=crf, alpha=frames.shape[3] == 4) as writer:
        writer.write(frames)


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        name = WITH_ALPHA.get(path.suffix, stream.codec_context.name)
        decoder = av.CodecContext.create(name, "r")
        decoder.extradata = stream.codec_context.extradata
        return [frame for packet in container.demux(stream) for frame in decoder.decode(packet)]


def by_ffmpeg(frame: av.VideoFrame) -> np.ndarray:
    """Return a frame as RGBA, converted as the frame itself says."""
    graph = Graph()
    matrix = {1: "bt709", 6: "smpte170m"}[int(frame.colorspace)]
    steps = {"scale": f"in_color_matrix={matrix}:in_range=limited", "format": "rgba"}
    end = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    for name, arguments in (steps | {"buffersink": None}).items():
        step = graph.add(name, arguments)
        end.link_to(step)
        end = step
    graph.configure()
    graph.push(frame)
    return graph.vpull().to_ndarray()


def by_hand(frame: av.VideoFrame) -> np.ndarray:
    """Return the colours of the patches, (10, 3), by the formulas of H.273 and the frame's tags."""
    red, blue = LUMA_WEIGHTS[int(frame.colorspace)]
    assert int(frame.color_range) == 1
    planes = [
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        for plane in frame.planes
    ]
    colours = []
    for x, y in middles(frame.width, frame.height):
        luma = (int(planes[0][y, x]) - 16) / 219
        u, v = ((int(plane[y // 2, x // 2]) - 128) / 224 for plane in planes[1:3])
        r, b = luma + 2 * (1 - red) * v, luma + 2 * (1 - blue) * u
        colours.append((r, (luma - red * r - blue * b) / (1 - red - blue), b))
    return 255 * np.clip(colours, 0, 1)


def off(colours: np.ndarray) -> float:
    """Return how far the worst patch is from its colour, in levels."""
    return float(np.abs(colours[:, :3].astype(float) - COLOURS).max())


@pytest.mark.parametrize("height", HEIGHTS)
def test_a_clip_of_any_height_shows_the_colours_of_its_frames(tmp_path: Path, height: int) -> None:
    write(tmp_path / "clip.mp4", patches(80, height)[None])
    (frame,) = decoded(tmp_path / "clip.mp4")

    assert off(shown(by_ffmpeg(frame))) <= LEVELS
    assert off(by_hand(frame)) <= LEVELS
    assert off(shown(frame.to_ndarray(format="rgb24"))) <= LEVELS


@pytest.mark.parametrize("size", [(160, 96), (161, 97)], ids=["even", "odd"])
@pytest.mark.parametrize(
    ("suffix", "alpha"),
    [
        *[(suffix, False) for suffix in (".mp4", ".mov", ".mkv", ".webm")],
        *[(suffix, True) for suffix in (".mov", ".webm")],
    ],
)
def test_every_format_says_how_its_colours_are_coded(
    tmp_path: Path, suffix: str, alpha: bool, size: tuple[int, int]
) -> None:
    path = tmp_path / f"clip{suffix}"
    write(path, patches(*size, alpha)[None])
    with av.open(str(path)) as container:
        coded = container.streams.video[0].codec_context
        tags = [coded.colorspace, coded.color_primaries, coded.color_trc]
        width, height = coded.width, coded.height
    (frame,) = decoded(path)
    colours = shown(by_ffmpeg(frame))

    # Matrix of BT.601, primaries of BT.709, transfer of sRGB, limited range.
    assert list(map(int, tags)) == [6, 1, 13]
    assert int(frame.color_range) == 1, "which older PyAV knows of ProRes only by decoding"
    assert size <= (width, height) <= (size[0] + 1, size[1] + 1)
    assert off(colours) <= LEVELS
    if alpha:
        assert np.abs(colours[:, 3].astype(int) - ALPHAS).max() <= LEVELS


@pytest.mark.parametrize("suffix", [".webm", ".mov"])
def test_alpha_moves_with_the_colours(tmp_path: Path, suffix: str) -> None:
    frames = np.full((30, 32, 80, 4), (40, 40, 200, 0), np.uint8)
    for number, frame in enumerate(frames):
        frame[:, number : number + 16] = (220, 60, 20, 255)
    write(tmp_path / f"clip{suffix}", frames)
    pictures = [frame.to_ndarray(format="rgba") for frame in decoded(tmp_path / f"clip{suffix}")]

    assert len(pictures) == len(frames)
    for picture, frame in zip(pictures, frames, strict=True):
        solid = picture[..., 3] > 127
        assert np.abs(solid.astype(int) - (frame[..., 3] > 127)).mean() < 0.03
        assert picture[solid][:, 0].mean() > 180, "what is solid is the red bar"


def test_formats_without_alpha_are_refused_by_name(tmp_path: Path) -> None:
    for suffix in (".mp4", ".mkv"):
        told = rf"out got 'clip\{suffix}'; \{suffix} files hold no transparency\. Choose \.webm"
        with pytest.raises(InputError, match=told):
            VideoWriter(tmp_path / f"clip{suffix}", Size(64, 48), 30, alpha=True)
    with (
        pytest.raises(InputError, match=r"frames got shape \(1, 8, 8, 3\); .*\(f, 8, 8, 4\)"),
        VideoWriter(tmp_path / "clip.webm", Size(8, 8), 30, alpha=True) as writer,
    ):
        writer.write(np.zeros((8, 8, 3), np.uint8))
