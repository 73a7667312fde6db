"""The protocol `disco`: each figure against scikit-image, PIL, OpenCV and plain numpy."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.linalg import sqrtm

from animate_anyone.errors import ConfigError, InputError
from animate_anyone.evaluation.folders import match_folders, measure_folders
from animate_anyone.evaluation.instruments import at_compared_size, check_sets, open_instruments
from animate_anyone.evaluation.measure import Measured
from animate_anyone.evaluation.metrics.frames import ssim_grey_flat
from animate_anyone.evaluation.metrics.metric import Instruments
from animate_anyone.evaluation.metrics.video import FvdProtocol, count_clips, cut_clips
from animate_anyone.evaluation.protocol import Protocol, load_protocol
from animate_anyone.evaluation.report import Report
from animate_anyone.evaluation.tables import as_markdown
from animate_anyone.media import to_bytes, to_pixels, write_picture
from animate_anyone.types import Size
from metric_networks import write_fvd_network

SIDE, PIECE = 16, 4  # of the tiny FVD: pixels and frames


def noise(frames: int, seed: int, side: tuple[int, int] = (34, 28)) -> np.ndarray:
    """Return frames of smooth noise, (f, H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (frames, 5, 4, 3), dtype=np.uint8)
    return np.stack(
        [cv2.resize(each, side[::-1], interpolation=cv2.INTER_CUBIC) for each in coarse]
    )


def skimage_ssim(ours: np.ndarray, true: np.ndarray) -> float:
    """Return DisCo's SSIM of one pair of frames, (H, W, 3) uint8, by the packages it uses."""
    from skimage.metrics import structural_similarity

    grey = [cv2.cvtColor(np.ascontiguousarray(x), cv2.COLOR_RGB2GRAY) for x in (ours, true)]
    value = structural_similarity(*grey, full=True)[0]
    return float(np.asarray(value))


def test_ssim_is_scikit_images_of_grey_frames():
    ours, true = noise(3, 0), noise(3, 1)
    ours = (ours // 3 + true // 3 * 2).astype(np.uint8)
    got = ssim_grey_flat(to_pixels(ours), to_pixels(true))
    want = [skimage_ssim(*pair) for pair in zip(ours, true, strict=True)]
    assert got.tolist() == pytest.approx(want, abs=1e-9)
    assert ssim_grey_flat(to_pixels(true), to_pixels(true)).tolist() == [1, 1, 1]
    with pytest.raises(InputError, match="windows of 7x7"):
        ssim_grey_flat(torch.rand(1, 3, 6, 20), torch.rand(1, 3, 6, 20))


def i3d_inputs(frames: np.ndarray) -> np.ndarray:
    """Return the pieces that DisCo's script gives to I3D, (pieces, 3, f, side, side)."""
    planes = [
        [
            np.asarray(
                Image.fromarray(frame[..., channel].astype(np.float32)).resize(
                    (SIDE, SIDE), Image.Resampling.BICUBIC
                )
            )
            for channel in range(3)
        ]
        for frame in frames
    ]
    small = np.stack(planes, axis=1) / 127.5 - 1
    return np.stack([small[:, i : i + PIECE] for i in range(len(frames) - PIECE + 1)])


def test_a_piece_of_fvd_begins_at_every_frame_and_is_resized_by_pil():
    rule = FvdProtocol(
        frames=PIECE,
        size=SIDE,
        fps=None,
        starts="every frame",
        resize="pil bicubic",
        weights="none.pt",
        sha256="0" * 64,
    )
    frames = noise(7, 2)
    got = cut_clips(to_pixels(frames), 12.5, rule)
    assert got.shape == (4, 3, PIECE, SIDE, SIDE)
    assert np.allclose(got.numpy(), i3d_inputs(frames), atol=1e-5)
    assert [count_clips(n, 3.0, rule) for n in (0, 3, 4, 7)] == [0, 0, 1, 4]
    with pytest.raises(InputError, match="needs 4"):
        cut_clips(to_pixels(frames[:3]), 12.5, rule)
    with pytest.raises(InputError, match=r"has 4 frames\. Measure longer"):
        check_sets(Instruments(fvd=(rule, torch.jit.script(torch.nn.Identity()))), [("a", 3, 9.0)])


@pytest.mark.parametrize(
    ("shape", "box"),
    [((60, 41), (0, 9, 41, 50)), ((41, 61), (10, 0, 51, 41)), ((32, 32), (0, 0, 32, 32))],
    ids=["tall", "wide", "its size"],
)
def test_frames_become_the_middle_square_by_pil_in_8_bits(shape, box):
    frames = noise(2, 3, shape)
    rule = replace(load_protocol("disco"), width=32, height=32)
    got = to_bytes(at_compared_size(to_pixels(frames) + 0.001, rule))
    for mine, frame in zip(got, frames, strict=True):
        want = Image.fromarray(frame).crop(box).resize((32, 32), Image.Resampling.BILINEAR)
        assert np.array_equal(mine, np.asarray(want))


def test_whole_frames_keep_their_shape():
    rule = Instruments(size=Size(32, 32), fit="pad", resize="pil 8 bit")
    frames = noise(1, 4, (64, 32))
    got = at_compared_size(to_pixels(frames), rule)
    inner = np.asarray(Image.fromarray(frames[0]).resize((16, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(to_bytes(got)[0, :, 8:24], inner)


@pytest.fixture
def finished(tmp_path):
    """Return results and truths of two clips of different length, as pictures and as folders."""
    sets: dict[str, list[np.ndarray]] = {"results": [], "truth": []}
    for index, length in enumerate((5, 9)):
        true = noise(length, 10 + index, (40, 40))
        ours = (true // 2 + noise(length, 20 + index, (40, 40)) // 2).astype(np.uint8)
        for side, frames in (("results", ours), ("truth", true)):
            sets[side].append(frames)
            for number, frame in enumerate(frames):
                write_picture(tmp_path / side / f"clip{index}" / f"{number:03d}.png", frame)
    return sets, tmp_path


def test_a_test_has_the_figures_of_discos_script(finished):
    sets, folder = finished
    sha256 = write_fvd_network(folder / "i3d.pt")
    usual = load_protocol("disco")
    fvd = replace(usual.fvd, frames=PIECE, size=SIDE, sha256=sha256)
    protocol = replace(usual, width=40, height=40, fvd=fvd)
    tools = open_instruments(protocol, fvd_network=folder / "i3d.pt")
    pairs = match_folders(folder / "results", folder / "truth", protocol)
    found = measure_folders(pairs, protocol, tools)["result"]

    ours, true = (np.concatenate(sets[side]) for side in ("results", "truth"))
    want = np.mean([skimage_ssim(*pair) for pair in zip(ours, true, strict=True)])
    assert found.mean["ssim"] == pytest.approx(want, abs=1e-9)
    with np.errstate(over="ignore"):
        wrapped = [np.mean((a - b) ** 2) for a, b in zip(ours, true, strict=True)]
    want = np.mean([20 * np.log10(255 / np.sqrt(mean)) for mean in wrapped])
    assert found.mean["psnr_uint8_legacy"] == pytest.approx(want)

    features = []
    for side in ("results", "truth"):
        pieces = np.concatenate([i3d_inputs(clip) for clip in sets[side]]).reshape(2 + 6, 3, -1)
        features.append(np.concatenate([pieces.mean(2), pieces.std(2, ddof=1)], axis=1))
    means, spreads = (
        [f(x) for x in features] for f in (lambda x: x.mean(0), lambda x: np.cov(x, rowvar=False))
    )
    root = sqrtm(spreads[0] @ spreads[1]).real
    want = np.square(means[0] - means[1]).sum() + np.trace(spreads[0] + spreads[1] - 2 * root)
    assert found.mean["fvd"] == pytest.approx(want, rel=1e-4)
    assert found.pieces["fvd"] == 8


def test_frames_count_alike_in_means_and_errors():
    clips = {"a": {"ssim": 0.5, "pck": 0.5}, "b": {"ssim": 0.8, "pck": 0.8}}
    lengths = {"a": 1, "b": 3}
    found = Measured(clips, frames=lengths, weighted="frames")
    assert found.mean == {"ssim": pytest.approx(0.725), "pck": pytest.approx(0.65)}
    alike = Measured(clips, frames={"a": 4, "b": 4}, weighted="frames")
    assert alike.standard_error == pytest.approx(Measured(clips).standard_error)
    assert found.standard_error["ssim"] == pytest.approx(
        np.sqrt(2 * ((0.25 * -0.225) ** 2 + (0.75 * 0.075) ** 2))
    )


def printed(protocol: Protocol, **changed: tuple[int, int]) -> str:
    rows = {"result": Measured({"a": {"ssim": 0.5}})}
    return as_markdown(
        Report(
            protocol=protocol, rows=rows, changed=dict(changed), made={}, absent={}, instruments={}
        )
    )


def test_the_papers_row_stands_beside_this_protocol_and_no_other():
    row = "| Animate Anyone (paper, Table 2, TikTok)"
    text = printed(load_protocol("disco"))
    assert f"{row} |" in text
    assert "as those of the paper's row" in text
    text = printed(load_protocol("tiktok"))
    assert f"{row}: not comparable |" in text
    assert "ssim is gaussian and not grey flat 7" in text
    assert "LPIPS has net alex" in text
    assert "`--protocol disco` computes them as the paper's" in text
    assert f"{row}: not comparable |" in printed(load_protocol("disco"), clips=(10, 6))
    assert "clips is 6 and not 10" in printed(load_protocol("disco"), clips=(10, 6))
    assert "not comparable |" not in printed(load_protocol("disco"), steps=(20, 6))
    assert "does not say by which script" in printed(load_protocol("ubc"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ssim": "grey"}, "ssim got 'grey'.*Did you mean 'grey flat 7'"),
        ({"resize": "pil"}, "resize got 'pil'"),
        ({"weighted": "frame"}, "weighted got 'frame'.*'frames'"),
        ({"lpips": {"net": "vgg", "sha256": "0" * 8, "inputs": "0-1"}}, "lpips.inputs got '0-1'"),
    ],
    ids=["ssim", "resize", "weighted", "inputs"],
)
def test_unknown_ways_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        Protocol.from_data(load_protocol("disco").data() | change)
