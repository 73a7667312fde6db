"""Measured figures against the pure functions on whole clips, statistics against numpy."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from animate_anyone.errors import InputError, WeightsError
from animate_anyone.evaluation.held_out import held_out_pairs
from animate_anyone.evaluation.instruments import absent, check_sets, open_instruments
from animate_anyone.evaluation.measure import Measured, gathered, measure, measure_clip
from animate_anyone.evaluation.metrics import frames as of_frames
from animate_anyone.evaluation.metrics.lpips import lpips
from animate_anyone.evaluation.metrics.metric import Case, Instruments
from animate_anyone.evaluation.metrics.poses import oks, pck, pose_error
from animate_anyone.evaluation.metrics.video import FvdProtocol, flicker, seam_drift
from animate_anyone.evaluation.pose_reader import PoseReader
from animate_anyone.evaluation.protocol import FvdRule, LpipsRule, load_protocol
from animate_anyone.weights.pose_models import open_pose_pair
from metric_networks import fvd, write_alexnet, write_fvd_network


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return a protocol with tiny networks of its own, and their files."""
    folder = tmp_path_factory.mktemp("networks")
    lpips_file, fvd_file = folder / "alexnet.pth", folder / "i3d.pt"
    protocol = replace(
        load_protocol("mini"),
        lpips=LpipsRule(net="alex", sha256=write_alexnet(lpips_file)),
        fvd=FvdRule(frames=4, size=16, fps=15.0, sha256=write_fvd_network(fvd_file)),
    )
    return protocol, lpips_file, fvd_file


ALL = Instruments()


def case(frames=20, **changes) -> Case:
    return Case(**{"name": "a", "truth": torch.rand(frames, 3, 48, 40), "fps": 30.0, **changes})


def test_figures_of_frames_are_means_over_the_whole_clip(files):
    instruments = open_instruments(files[0], lpips_backbone=files[1])
    true = case()
    result = torch.rand_like(true.truth)
    row = measure(result, true, instruments)
    for name in ("psnr", "ssim", "psnr_uint8_legacy"):
        want = getattr(of_frames, name)(result, true.truth).mean()
        assert row[name] == pytest.approx(float(want), rel=1e-6)
    assert instruments.lpips is not None
    want = lpips(result, true.truth, instruments.lpips).mean()
    assert row["lpips"] == pytest.approx(float(want), rel=1e-5)
    assert row["flicker"] == pytest.approx(flicker(result, true.truth))


def test_poses_are_read_from_the_frames_and_compared_with_the_driving_ones():
    (pair,) = held_out_pairs(1, 2)
    reader = PoseReader(open_pose_pair(provider="cpu"))
    true = case(truth=pair.truth, skeletons=pair.skeletons)
    row = measure(pair.reference.expand_as(pair.truth), true, Instruments(pose=reader))
    found = reader.read_pixels(pair.reference.expand_as(pair.truth))
    assert row["pck"] == pck(found, pair.skeletons)
    assert row["oks"] == oks(found, pair.skeletons)
    assert row["pose_error"] == pose_error(found, pair.skeletons)


def test_a_truth_without_a_person_has_no_pose_metrics():
    (pair,) = held_out_pairs(1, 1)
    body = replace(pair.skeletons.body, confidence=np.zeros_like(pair.skeletons.body.confidence))
    true = case(truth=pair.truth, skeletons=replace(pair.skeletons, body=body))
    row = measure(pair.truth, true, Instruments(pose=PoseReader(open_pose_pair(provider="cpu"))))
    assert "pck" not in row
    assert "psnr" in row


def test_seams_are_measured_only_where_a_clip_has_more_than_one_window():
    windows = [range(12), range(8, 20)]
    true = case(windows=windows)
    result = torch.rand_like(true.truth)
    row = measure(result, true, Instruments())
    assert row["seam_drift"] == pytest.approx(seam_drift(result, windows, true.truth))
    assert "seam_drift" not in measure(result, replace(true, windows=[range(20)]), Instruments())


@pytest.mark.parametrize(
    ("frames", "windows"),
    [
        ([0] * 20, [range(12), range(8, 20)]),
        ([*range(7), *[7] * 6, *range(8, 15)], [range(12), range(8, 20)]),
        ([0] * 8 + [1] * 4 + [2] * 8, [range(12), range(8, 20)]),
        (list(range(20)), [range(20), range(20)]),
        (list(range(20)), [range(0, 20, 2), range(1, 20, 2)]),
    ],
    ids=["still", "still at borders", "moves at borders alone", "no border", "borders alone"],
)
def test_a_clip_without_measurable_seams_has_no_seam_metric(frames, windows):
    moving = torch.rand(20, 3, 48, 40)
    row = measure(torch.rand_like(moving), case(truth=moving[frames], windows=windows), ALL)
    assert "seam_drift" not in row
    assert "flicker" in row


def test_the_row_has_only_the_requested_metrics_in_their_order():
    true = case(2)
    row = measure(true.truth, true, Instruments(metrics=("ssim", "psnr")))
    assert list(row) == ["ssim", "psnr"]


@pytest.mark.parametrize("poses", [False, True], ids=["frames", "frames and poses"])
def test_progress_follows_chunk_by_chunk_up_to_its_total(poses):
    (pair,) = held_out_pairs(1, 20)
    true = case(truth=pair.truth, skeletons=pair.skeletons)
    instruments = Instruments(pose=PoseReader(open_pose_pair(provider="cpu")) if poses else None)
    told: list[tuple[int, int]] = []
    measure(pair.truth, true, instruments, lambda *at: told.append(at))
    done = [done for done, _ in told]
    assert {total for _, total in told} == {40 if poses else 20}
    assert done == sorted(set(done))
    assert done[:2] == [16, 20]
    assert done[-1] == (40 if poses else 20)


def test_an_interrupt_in_progress_ends_the_measuring_at_once():
    told: list[int] = []

    def stop(done: int, _: int) -> None:
        told.append(done)
        raise KeyboardInterrupt

    true = case()
    with pytest.raises(KeyboardInterrupt):
        measure(true.truth, true, ALL, stop)
    assert told == [16]


def test_a_look_comes_before_each_figure_of_a_few_frames():
    looks: list[int] = []

    def stop() -> None:
        looks.append(1)
        if len(looks) == 4:
            raise KeyboardInterrupt

    true, told = case(), []
    wanted = Instruments(metrics=("psnr", "ssim"))
    with pytest.raises(KeyboardInterrupt):
        measure(true.truth, true, wanted, lambda done, _: told.append(done), stop)
    assert told == [16]


def test_large_frames_are_measured_few_at_once():
    told: list[int] = []
    clip = torch.rand(3, 3, 1024, 512)
    wanted = Instruments(metrics=("psnr",))
    row = measure(clip, case(truth=clip / 2), wanted, lambda done, _: told.append(done))
    assert told == [2, 3]
    assert row == measure(clip, case(truth=clip / 2), wanted)


def test_one_frame_has_no_flicker():
    assert "flicker" not in measure(torch.rand(1, 3, 48, 40), case(1), Instruments())


def test_fvd_of_the_set_is_that_of_all_clips_together(files):
    instruments = open_instruments(files[0], fvd_network=files[2])
    truths, results = torch.rand(2, 5, 8, 3, 20, 20)
    clips = []
    for i in range(5):
        true = case(name=str(i), truth=truths[i])
        ways = [("ours", results[i] ** 2), ("truth", truths[i])]
        clips.append(measure_clip(ways, true, instruments, i))
    rows = gathered(clips)
    rule = files[0].fvd
    record = FvdProtocol(frames=4, size=16, fps=15.0, weights=files[2], sha256=rule.sha256)
    assert rows["ours"].mean["fvd"] == pytest.approx(fvd(results**2, truths, record, fps=30.0))
    assert rows["truth"].mean["fvd"] == pytest.approx(0, abs=1e-9)
    assert "fvd" not in rows["ours"].clips["0"]
    assert "fvd" not in rows["ours"].standard_error


def test_mean_and_standard_error_use_the_clips_that_have_a_figure():
    rows = {"a": {"psnr": 20.0, "pck": 0.5}, "b": {"psnr": 24.0}, "c": {"psnr": 31.0, "pck": 0.9}}
    measured = Measured(rows, {"fvd": 3.0})
    assert measured.mean == pytest.approx({"psnr": 25.0, "pck": 0.7, "fvd": 3.0})
    spread = np.std([20, 24, 31], ddof=1) / np.sqrt(3)
    assert measured.standard_error == pytest.approx({"psnr": spread, "pck": 0.2})
    assert measured.count == {"psnr": 3, "pck": 2}
    assert Measured({"a": {"psnr": 20.0}}).standard_error == {}


def test_figures_without_a_network_are_absent_with_the_way_out(monkeypatch):
    monkeypatch.setattr("animate_anyone.evaluation.instruments.installed_lpips", lambda *_: None)
    protocol = load_protocol("ubc")
    why = absent(open_instruments(protocol), protocol)
    assert set(why) == {
        *("lpips", "fvd", "pck", "oks", "pose_error"),
        *("hand_lpips", "hand_pck", "face_lpips", "face_pck", "motion_error"),
    }
    assert "alexnet-owt-7be5be79.pth" in why["lpips"]
    assert protocol.fvd.sha256[:16] in why["fvd"]
    assert "download dwpose" in why["pck"]


def test_a_damaged_network_is_named_with_both_hashes(files, tmp_path):
    torn = tmp_path / "i3d.pt"
    torn.write_bytes(files[2].read_bytes()[:-10])
    with pytest.raises(WeightsError, match=rf"expected is {files[0].fvd.sha256}"):
        open_instruments(files[0], fvd_network=torn)
    with pytest.raises(WeightsError, match="not there"):
        open_instruments(files[0], lpips_backbone=tmp_path / "alexnet.pth")


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ([("a", 8, 30.0)], "FVD got 1 clip of 4 frames; it compares sets of 2"),
        ([("a", 40, 30.0), ("b", 6, 30.0)], "clip b with 6 frames at 30 fps"),
        ([("a", 40, 12.0)], "clip a at 12 fps"),
        ([], "FVD got 0 clip"),
    ],
    ids=["too few", "too short", "too slow", "none"],
)
def test_too_few_clips_for_fvd_are_refused_before_anything_is_computed(files, lengths, message):
    instruments = open_instruments(files[0], fvd_network=files[2])
    with pytest.raises(InputError, match=message):
        check_sets(instruments, lengths)
    check_sets(Instruments(), lengths)
    check_sets(instruments, [("a", 8, 30.0), ("b", 7, 30.0)])
