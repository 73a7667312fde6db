"""Metrics of hands and faces: only their boxes count."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from animate_anyone.evaluation.held_out import held_out_pair
from animate_anyone.evaluation.measure import measure
from animate_anyone.evaluation.metrics.metric import Case, Instruments
from animate_anyone.evaluation.metrics.parts import part_lpips, part_pck, part_psnr
from animate_anyone.pose.skeleton.part_boxes import BoxRule, part_boxes
from animate_anyone.types import PoseClip, Size


@pytest.fixture(scope="module")
def pair():
    return held_out_pair(0, 2, Size(128, 128))


def _without(clip: PoseClip, *names: str) -> PoseClip:
    hidden = {
        name: replace(getattr(clip, name), confidence=np.zeros_like(getattr(clip, name).confidence))
        for name in names
    }
    return replace(clip, **hidden)


def test_only_errors_inside_the_boxes_count(pair):
    left, top, right, bottom = (
        part_boxes(pair.skeletons, "face", BoxRule())[0, 0].round().astype(int)
    )
    outside = pair.truth.clone()
    outside[..., : top - 1, :] = 0
    outside[..., bottom + 1 :, :] = 0
    assert part_psnr(outside, pair.truth, pair.skeletons, "face") == pytest.approx(100)
    assert part_psnr(outside, pair.truth, pair.skeletons, "hand") < 30
    inside = pair.truth.clone()
    inside[..., top:bottom, left:right] += 0.1
    found = part_psnr(inside, pair.truth, pair.skeletons, "face")
    assert found == pytest.approx(20, abs=0.7)


def test_frames_without_a_box_do_not_count(pair):
    clip, truth = pair.skeletons, pair.truth
    clip = replace(clip, face=replace(clip.face, confidence=clip.face.confidence.copy()))
    clip.face.confidence[1] = 0
    result = truth.clone()
    result[1] = 0
    assert part_psnr(result, truth, clip, "face") == pytest.approx(100)
    nobody = _without(clip, "face", "left_hand", "right_hand")
    assert part_psnr(result, truth, nobody, "face") is None
    assert part_psnr(result, truth, nobody, "hand") is None
    assert part_pck(nobody, nobody, "hand") is None
    row = measure(result, Case(name="a", truth=truth, fps=30.0, skeletons=nobody), Instruments())
    assert "hand_psnr" not in row
    assert "psnr" in row


def test_pck_counts_points_of_both_hands(pair):
    clip = pair.skeletons
    assert part_pck(clip, clip, "hand") == 1
    assert part_pck(_without(clip, "left_hand"), clip, "hand") == 0.5
    far = replace(clip, face=replace(clip.face, xy=clip.face.xy + 50))
    assert part_pck(far, clip, "face") == 0
    assert part_pck(far, clip, "hand") == 1


def test_lpips_compares_the_boxes_resized(pair, monkeypatch):
    seen = []

    def distance(ours, true, _network):
        seen.append((ours, true))
        return (ours - true).square().mean((1, 2, 3))

    monkeypatch.setattr("animate_anyone.evaluation.metrics.parts.lpips", distance)
    network = object()
    value = part_lpips(pair.truth * 0.5, pair.truth, pair.skeletons, "hand", network)  # type: ignore
    (ours, true), boxes = seen[0], part_boxes(pair.skeletons, "hand", BoxRule())
    assert ours.shape == true.shape == (int(np.isfinite(boxes[..., 0]).sum()), 3, 64, 64)
    assert torch.allclose(ours, true * 0.5)
    assert value > 0
