"""Flicker, seams and the Frechet video distance against independent formulas."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from animate_anyone.diffusion.windows import WindowConfig, plan_windows
from animate_anyone.errors import ConfigError, InputError, WeightsError
from animate_anyone.evaluation.metrics.video import (
    FvdProtocol,
    border_steps,
    cut_clips,
    flicker,
    frechet_distance,
    seam_drift,
)
from metric_networks import fvd


def test_flicker_ignores_a_still_error_and_counts_alternation():
    truth = torch.rand(4, 3, 8, 8)
    assert flicker(truth + 0.2, truth) == pytest.approx(0, abs=1e-3)
    wobble = truth.clone()
    wobble[1::2] += 0.1
    assert flicker(wobble, truth) == pytest.approx(25.5, abs=1e-2)
    assert flicker(wobble, truth) == pytest.approx(
        np.abs(np.diff(wobble.numpy(), axis=0) - np.diff(truth.numpy(), axis=0)).mean() * 255, 1e-4
    )


def test_flicker_without_a_truth_counts_every_change():
    clip = torch.rand(5, 3, 8, 8)
    assert flicker(clip) == pytest.approx(np.abs(np.diff(clip.numpy(), axis=0)).mean() * 255, 1e-4)
    assert flicker(clip[:1].expand(5, -1, -1, -1)) == 0


def test_flicker_of_one_frame_is_refused():
    with pytest.raises(InputError, match="2 frames"):
        flicker(torch.rand(1, 3, 8, 8))


WINDOWS = [range(6), range(4, 10), range(8, 14)]
BORDERS = [3, 5, 7, 9]  # the steps 3-4, 5-6, 7-8 and 9-10


def walk(steps: list[float]) -> torch.Tensor:
    """Return frames that brighten by these steps."""
    levels = torch.tensor([0.0, *steps], dtype=torch.float64).cumsum(0)
    return levels[:, None, None, None].expand(-1, 3, 4, 4)


def test_borders_are_where_a_window_begins_or_ends():
    assert border_steps(WINDOWS, 14).nonzero().flatten().tolist() == BORDERS


def test_planned_windows_can_be_measured():
    windows = [window.frames for window in plan_windows(60, WindowConfig(length=24, overlap=4))]
    starts = {window[0] for window in windows} - {0}
    ends = {window[-1] + 1 for window in windows} - {60}
    borders = border_steps(windows, 60).nonzero().flatten().tolist()
    assert {step + 1 for step in borders} == starts | ends


def test_steady_motion_has_no_drift_and_jumps_at_borders_have():
    steps = [0.02] * 13
    assert seam_drift(walk(steps), WINDOWS) == pytest.approx(1)
    for border in BORDERS:
        steps[border] = 0.06
    assert seam_drift(walk(steps), WINDOWS) == pytest.approx(3)


def test_jumps_of_the_truth_do_not_count():
    steps = [0.01 * (1 + step % 3) for step in range(13)]
    truth = walk(steps)
    assert seam_drift(truth * 0.5, WINDOWS, truth) == pytest.approx(1)
    seams = [2 * step if place in BORDERS else step for place, step in enumerate(steps)]
    assert seam_drift(walk(seams), WINDOWS, truth) == pytest.approx(2)


def test_drift_of_still_clips():
    still = walk([0.0] * 13)
    assert seam_drift(still, WINDOWS) == 1
    assert seam_drift(walk([0.1 * (step in BORDERS) for step in range(13)]), WINDOWS) == np.inf
    with pytest.raises(InputError, match="truth"):
        seam_drift(walk([0.1] * 13), WINDOWS, still)


@pytest.mark.parametrize(
    "windows",
    [[range(14)], [range(0, 14, 2), range(1, 14, 2)], [range(6), range(4, 15)], [[-1, 0]]],
    ids=["one window", "strided", "beyond the clip", "negative"],
)
def test_windows_without_comparable_steps_are_refused(windows):
    with pytest.raises(InputError, match="windows got"):
        seam_drift(walk([0.1] * 13), windows)


def features(seed: int, count: int, size: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, size)) @ rng.normal(size=(size, size)) + rng.normal(size=size)


def distance_by_matrix_root(first: np.ndarray, second: np.ndarray) -> float:
    covariances = [np.cov(x, rowvar=False) for x in (first, second)]
    root = sqrtm(covariances[0] @ covariances[1]).real
    apart = ((first.mean(0) - second.mean(0)) ** 2).sum()
    return float(apart + np.trace(covariances[0] + covariances[1] - 2 * root))


@given(st.integers(0, 1000), st.integers(20, 60), st.integers(2, 8))
def test_frechet_distance_agrees_with_the_matrix_root(seed, count, size):
    first, second = features(seed, count, size), features(seed + 1, count + 3, size)
    want = distance_by_matrix_root(first, second)
    assert frechet_distance(first, second) == pytest.approx(want, rel=1e-6)
    assert frechet_distance(second, first) == pytest.approx(want, rel=1e-6)


def test_frechet_distance_of_known_gaussians():
    line = np.array([[-1.0], [0.0], [1.0]])  # variance 1
    assert frechet_distance(line, 3 * line + 5) == pytest.approx(25 + (3 - 1) ** 2)
    assert frechet_distance(line, line) == 0


def test_fewer_clips_than_features_are_measured_too():
    first, second = features(1, 5, 40), features(2, 6, 40)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)
    moved = frechet_distance(first, first + 2)
    assert moved == pytest.approx(4 * 40)
    roots = [np.cov(x, rowvar=False) for x in (first, second)]
    eigenvalues = np.linalg.eigvals(roots[0] @ roots[1]).real.clip(0)
    want = ((first.mean(0) - second.mean(0)) ** 2).sum() + sum(map(np.trace, roots))
    want -= 2 * np.sqrt(eigenvalues).sum()
    assert frechet_distance(first, second) == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize(
    ("first", "second"),
    [((1, 4), (5, 4)), ((5, 4), (5, 3)), ((5,), (5,)), ((0, 0), (5, 4))],
)
def test_features_that_have_no_distance_are_refused(first, second):
    with pytest.raises(InputError, match="features got"):
        frechet_distance(np.zeros(first), np.zeros(second))


class Statistics(torch.nn.Module):
    """Mean and deviation of each channel; requires the arguments of the published I3D."""

    def forward(self, x: torch.Tensor, rescale: bool, resize: bool, return_features: bool):
        assert return_features
        assert not rescale
        assert not resize
        return torch.cat([x.mean((2, 3, 4)), x.std((2, 3, 4))], 1)


class Means(torch.nn.Module):
    """Another network: only the means, without options."""

    def forward(self, x: torch.Tensor):
        return x.mean((2, 3, 4))


class Volumes(torch.nn.Module):
    """A network that does not end in features."""

    def forward(self, x: torch.Tensor):
        return x * 2


def protocol_of(network, folder) -> FvdProtocol:
    path = folder / f"{type(network).__name__}.pt"
    torch.jit.script(network).save(str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return FvdProtocol(frames=4, size=8, fps=10, weights=path, sha256=digest)


@pytest.fixture
def videos():
    results = [torch.rand(8, 3, 12, 10) for _ in range(3)]
    return results, [torch.rand(9, 3, 12, 10) * 0.8 for _ in range(4)]


def test_fvd_is_the_distance_of_the_networks_features(tmp_path, videos):
    protocol = protocol_of(Statistics(), tmp_path)
    sets = []
    for clips in videos:
        cut = [part for clip in clips for part in clip[:8].split(4)]
        small = [torch.nn.functional.interpolate(c, (8, 8), mode="bilinear") * 2 - 1 for c in cut]
        sets.append(
            np.stack([torch.cat([c.mean((0, 2, 3)), c.std((0, 2, 3))]).numpy() for c in small])
        )
    got = fvd(*videos, protocol, fps=10)
    assert got == pytest.approx(distance_by_matrix_root(*sets), rel=1e-3)
    assert got > 0.1
    assert fvd(videos[0], videos[0], protocol, fps=10) == pytest.approx(0, abs=1e-9)


def test_networks_without_options_serve_too(tmp_path, videos):
    assert fvd(*videos, protocol_of(Means(), tmp_path), fps=10) > 0


def test_clips_take_frames_at_the_protocols_rate(tmp_path):
    protocol = replace(protocol_of(Means(), tmp_path), frames=2, fps=3)
    video = torch.arange(15.0)[:, None, None, None].expand(-1, 3, 8, 8) / 15
    clips = cut_clips(video, 10, protocol)
    numbers = ((clips[:, 0, :, 0, 0] + 1) / 2 * 15).round().int()
    assert numbers.tolist() == [[0, 3], [6, 10]]
    assert clips.shape == (2, 3, 2, 8, 8)


def test_videos_that_are_too_short_or_slow_are_refused(tmp_path):
    protocol = protocol_of(Means(), tmp_path)
    with pytest.raises(InputError, match="longer videos"):
        cut_clips(torch.rand(3, 3, 8, 8), 10, protocol)
    with pytest.raises(InputError, match="fps got 8"):
        cut_clips(torch.rand(9, 3, 8, 8), 8, protocol)


def test_errors_name_a_missing_or_wrong_network(tmp_path, videos):
    protocol = protocol_of(Means(), tmp_path)
    with pytest.raises(WeightsError, match=r"nowhere\.pt, which is not there"):
        fvd(*videos, replace(protocol, weights=tmp_path / "nowhere.pt"), fps=10)
    with pytest.raises(WeightsError, match=f"expected is {'0' * 64}"):
        fvd(*videos, replace(protocol, sha256="0" * 64), fps=10)


def test_errors_name_files_that_are_not_a_network_of_features(tmp_path, videos):
    path = tmp_path / "notes.pt"
    path.write_text("not a network")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    protocol = FvdProtocol(frames=4, size=8, fps=10, weights=path, sha256=digest)
    with pytest.raises(WeightsError, match="not TorchScript"):
        fvd(*videos, protocol, fps=10)
    with pytest.raises(WeightsError, match="ends in features"):
        fvd(*videos, protocol_of(Volumes(), tmp_path), fps=10)


@pytest.mark.parametrize(
    "change", [{"frames": 0}, {"size": 0}, {"fps": -1}, {"sha256": "abc"}, {"sha256": "x" * 64}]
)
def test_invalid_protocols_are_refused(change):
    values = {"frames": 16, "size": 224, "fps": 3, "weights": "i3d.pt", "sha256": "0" * 64}
    with pytest.raises(ConfigError, match=next(iter(change))):
        FvdProtocol(**(values | change))
