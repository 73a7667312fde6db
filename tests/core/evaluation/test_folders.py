"""Finished clips against the true ones, from folders of videos and of pictures."""

from dataclasses import replace

import numpy as np
import pytest

from animate_anyone.errors import InputError
from animate_anyone.evaluation.compared import compared_lines
from animate_anyone.evaluation.folders import compared_frames, match_folders, measure_folders
from animate_anyone.evaluation.held_out import held_out_pairs
from animate_anyone.evaluation.instruments import open_instruments
from animate_anyone.evaluation.metrics.frames import psnr
from animate_anyone.evaluation.metrics.metric import Instruments
from animate_anyone.evaluation.pose_reader import PoseReader
from animate_anyone.evaluation.protocol import FvdRule, load_protocol
from animate_anyone.media import VideoWriter, frames_of, to_bytes, to_pixels, write_picture
from animate_anyone.types import Size
from animate_anyone.weights.pose_models import open_pose_pair
from benchmarks.brought.clip_files import video
from metric_networks import write_fvd_network

PROTOCOL = replace(load_protocol("tiktok"), width=64, height=64)


def noise(frames=6, height=48, width=32) -> np.ndarray:
    return np.random.default_rng(frames).integers(0, 255, (frames, height, width, 3), np.uint8)


def write_video(path, frames):
    path.parent.mkdir(exist_ok=True)
    with VideoWriter(path, Size(frames.shape[2], frames.shape[1]), 30) as writer:
        writer.write(frames)


def write_pictures(folder, frames):
    for number, frame in enumerate(frames):
        write_picture(folder / f"{number}.png", frame)


@pytest.fixture
def folders(tmp_path):
    """Return results (a video and pictures) and truths (pictures both) of drawn characters."""
    for name, (pair, write) in zip(
        ("a", "b"),
        zip(held_out_pairs(2, 8, Size(64, 64)), (write_video, write_pictures), strict=True),
        strict=True,
    ):
        truth = to_bytes(pair.truth)
        write_pictures(tmp_path / "truth" / name, truth)
        result = 255 - (255 - truth) // 2
        path = tmp_path / "results" / (f"{name}.mp4" if write is write_video else name)
        write(path, result)
    return tmp_path / "results", tmp_path / "truth"


def test_clips_are_matched_by_name_and_measured_as_they_are(folders):
    results, truth = folders
    pairs = match_folders(results, truth, PROTOCOL)
    done: list[int] = []
    rows = measure_folders(pairs, PROTOCOL, Instruments(), done.append)
    measured = rows["result"]

    assert [pair.name for pair in pairs] == ["a", "b"]
    assert [len(pair.compared.frames) for pair in pairs] == [8, 8]
    assert done == [1, 2]
    read = [to_pixels(np.stack(list(frames_of(folder / "b")))) for folder in folders]
    assert measured.clips["b"]["psnr"] == pytest.approx(float(psnr(*read).mean()), rel=1e-6)
    assert measured.clips["a"]["psnr"] == pytest.approx(measured.clips["b"]["psnr"], abs=6)
    assert "flicker" in measured.clips["a"]


def test_frames_are_read_with_number_and_stride_of_the_protocol(folders):
    protocol = replace(PROTOCOL, frames=3, stride=2)
    pairs = match_folders(*folders, protocol)
    rows = measure_folders(pairs, protocol, Instruments())
    read = [to_pixels(np.stack(list(frames_of(folder / "b"))[:6:2])) for folder in folders]
    assert [pair.compared.frames for pair in pairs] == [range(0, 6, 2)] * 2
    assert rows["result"].clips["b"]["psnr"] == pytest.approx(float(psnr(*read).mean()), rel=1e-6)


@pytest.mark.slow
def test_fvd_and_poses_of_finished_clips(folders, tmp_path):
    rule = FvdRule(frames=4, size=16, fps=15.0, sha256=write_fvd_network(tmp_path / "i3d.pt"))
    protocol = replace(PROTOCOL, fvd=rule)
    reader = PoseReader(open_pose_pair(provider="cpu"))
    instruments = open_instruments(protocol, pose=reader, fvd_network=tmp_path / "i3d.pt")
    results, truth = folders
    ours = measure_folders(match_folders(results, truth, protocol), protocol, instruments)
    same = measure_folders(match_folders(truth, truth, protocol), protocol, instruments)
    assert same["result"].mean["fvd"] == pytest.approx(0, abs=1e-9)
    assert same["result"].mean["pck"] == 1
    assert ours["result"].mean["fvd"] > 0.001
    assert ours["result"].mean["pose_error"] > 0


def test_clips_without_partner_are_listed_on_both_sides(tmp_path):
    for side, names in (("results", "abd"), ("truth", "acd")):
        for name in names:
            write_video(tmp_path / side / f"{name}.mp4", noise())
    with pytest.raises(InputError, match=r"only in .*results: b; only in .*truth: c"):
        match_folders(tmp_path / "results", tmp_path / "truth", PROTOCOL)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (noise(5), r"a \(5 frames of 32x48 against 6 frames of 32x48\)"),
        (noise(6, 32), r"a \(6 frames of 32x32 against 6 frames of 32x48\)"),
    ],
    ids=["length", "size"],
)
def test_clips_of_another_size_or_length_are_named(tmp_path, other, message):
    write_video(tmp_path / "results" / "a.mp4", other)
    write_video(tmp_path / "truth" / "a.mp4", noise())
    with pytest.raises(InputError, match=message):
        match_folders(tmp_path / "results", tmp_path / "truth", PROTOCOL)


def test_folders_without_clips_and_names_given_twice_are_refused(tmp_path):
    results, truth = tmp_path / "results", tmp_path / "truth"
    truth.mkdir()
    with pytest.raises(InputError, match=r"--results got .*no such folder"):
        match_folders(results, truth, PROTOCOL)
    write_video(results / "a.mp4", noise())
    (truth / "notes.txt").write_text("none")
    with pytest.raises(InputError, match=r"--truth got .*holds no clip"):
        match_folders(results, truth, PROTOCOL)
    write_video(results / "a.mkv", noise())
    with pytest.raises(InputError, match=r"two clips named a \(a.mkv and a.mp4\)"):
        match_folders(results, truth, PROTOCOL)


def test_a_clip_that_ends_early_is_named(tmp_path):
    for side in ("results", "truth"):
        write_pictures(tmp_path / side / "a", noise())
    pairs = match_folders(tmp_path / "results", tmp_path / "truth", PROTOCOL)
    (tmp_path / "results" / "a" / "5.png").unlink()
    with pytest.raises(InputError, match=r"results/a got 5 frames of 6"):
        measure_folders(pairs, PROTOCOL, Instruments())


def test_clips_are_read_one_at_a_time(folders):
    """The first clip is measured before frames of the second one are read."""
    results, truth = folders
    pairs = match_folders(results, truth, PROTOCOL)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    for number in range(8):
        (truth / "b" / f"{number}.png").write_bytes(b"no picture")
    with pytest.raises(KeyboardInterrupt):
        measure_folders(pairs, PROTOCOL, Instruments(), stop)


def test_frames_reach_the_size_of_the_protocol(tmp_path):
    write_pictures(tmp_path / "results" / "a", noise(1, 96, 64))
    write_pictures(tmp_path / "truth" / "a", noise(1, 96, 64))
    pairs = match_folders(tmp_path / "results", tmp_path / "truth", PROTOCOL)
    rows = measure_folders(pairs, PROTOCOL, Instruments())
    assert rows["result"].mean["psnr"] == 100
    assert rows["result"].mean["ssim"] == pytest.approx(1, abs=1e-6)


def test_what_was_assumed_of_a_file_is_in_the_table(tmp_path):
    for folder in ("ours", "true"):
        (tmp_path / folder).mkdir()
        video("a.mp4")(tmp_path / folder)  # without tags of its colours
        (tmp_path / folder / "._a.mp4").write_bytes(b"of macOS")
    (pair,) = match_folders(tmp_path / "ours", tmp_path / "true", PROTOCOL)
    (_, ours, true) = compared_lines(compared_frames([pair]))
    assert ours.startswith("Result: The file does not say how its colours are coded")
    assert true.endswith("(a)")
