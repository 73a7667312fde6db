"""Validation: its figures against the metrics themselves, and against copying the reference."""

import math
from dataclasses import replace

import pytest
import torch

from animate_anyone.animate import sampling_of
from animate_anyone.errors import InputError
from animate_anyone.evaluation.held_out import held_out_pairs
from animate_anyone.evaluation.metrics.frames import psnr, sharpness
from animate_anyone.evaluation.metrics.poses import pck
from animate_anyone.evaluation.pairs import generate, still_clip
from animate_anyone.evaluation.pose_reader import PoseReader
from animate_anyone.evaluation.validation import validate
from animate_anyone.types import Size
from animate_anyone.weights.load import load_mini
from animate_anyone.weights.pose_models import open_pose_pair


def test_figures_are_means_over_pairs_and_gains_over_the_still_reference(small):
    models, sampling = small.models(), sampling_of(small.preset)
    pairs = list(held_out_pairs(2, 3, Size(64, 64)))
    report = validate(models, pairs, sampling, None)
    clips = [generate(models, pair, replace(sampling, seed=i)) for i, pair in enumerate(pairs)]
    own = [float(psnr(c, p.truth).mean()) for c, p in zip(clips, pairs, strict=True)]
    still = [float(psnr(still_clip(p), p.truth).mean()) for p in pairs]

    assert report.psnr == pytest.approx(sum(own) / 2)
    assert report.gain_psnr == pytest.approx(sum(own) / 2 - sum(still) / 2)
    assert all(torch.equal(a, b) for a, b in zip(report.frames, clips, strict=True))
    assert all(math.isnan(x) for x in (report.pose_error, report.pck, report.gain_pck))


@pytest.mark.slow
def test_aa_mini_follows_poses_that_a_still_picture_does_not():
    models, reader = load_mini(), PoseReader(open_pose_pair(provider="cpu"))
    sampling = replace(sampling_of(models.preset), steps=4, guidance=1.0)
    pairs = list(held_out_pairs(2, 5))
    report = validate(models, pairs, sampling, reader)

    assert report.gain_psnr > 3
    assert report.gain_pck > 0.2
    assert report.pose_error < 0.2
    found = [
        pck(reader.read_pixels(c), p.skeletons) for c, p in zip(report.frames, pairs, strict=True)
    ]
    assert report.pck == pytest.approx(sum(found) / 2)
    assert set(report.parts) == {"hand_psnr", "hand_pck", "face_psnr", "face_pck"}
    assert report.parts["face_psnr"] > 15
    assert 0.5 < report.parts["face_pck"] <= 1
    assert set(report.further) == {"sharpness", "motion_error"}
    both = [sharpness(c, p.truth) for c, p in zip(report.frames, pairs, strict=True)]
    assert report.further["sharpness"] == pytest.approx(sum(both) / 2)
    assert report.further["motion_error"] < 1


def test_true_frames_have_the_skeletons_that_they_were_drawn_from():
    (pair,) = held_out_pairs(1, 4)
    reader = PoseReader(open_pose_pair(provider="cpu"))
    assert pck(reader.read_pixels(pair.truth), pair.skeletons) > 0.95


def test_no_pairs_are_refused(small):
    with pytest.raises(InputError, match="pairs got none"):
        validate(small.models(), [], sampling_of(small.preset), None)
