"""A clip in memory as training data, and fine-tuning a weight set on it."""

import json

import numpy as np
import pytest
import torch

from animate_anyone.errors import InputError
from animate_anyone.training.fine_tune import BEGUN, claim, fine_tune_config
from animate_anyone.training.sources.batch import Draw
from animate_anyone.training.sources.own_clip import OwnClip
from animate_anyone.weights.sets.aa_mini import AA_MINI

FRAMES = 10


class Numbers:
    """Latents and tokens that hold the grey level of a frame, and so identify it."""

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        level = frames.mean((1, 2, 3)) * 255
        return level[:, None, None, None].expand(-1, 4, *(s // 8 for s in frames.shape[-2:]))

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return latents[:, :3].repeat_interleave(8, 2).repeat_interleave(8, 3) / 255


class Token:
    def encode(self, picture: torch.Tensor) -> torch.Tensor:
        return picture.mean().mul(255).expand(1, 1, 5)


def numbered(frames: int = FRAMES) -> np.ndarray:
    """Return pictures, each filled with its own number, from 1."""
    levels = np.arange(1, frames + 1, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (frames, 16, 24, 3)).copy()


@pytest.fixture
def clip() -> OwnClip:
    return OwnClip.encoded(numbered(), numbered(), Numbers(), Token())


def draw(frames: int, *, consecutive: bool) -> Draw:
    return Draw(seed=3, examples=8, frames=frames, consecutive=consecutive)


def numbers(batch) -> tuple[np.ndarray, np.ndarray]:
    """Return which frames are references (b,) and targets (b, f) of a batch."""
    assert batch.tokens is not None
    reference = batch.reference[:, 0, 0, 0]
    assert torch.allclose(batch.tokens[:, 0, 0], reference, atol=1e-3)
    assert torch.allclose(batch.poses[:, :, 0, 0, 0].float(), batch.targets[:, 0, :, 0, 0])
    return reference.round().int().numpy(), batch.targets[:, 0, :, 0, 0].round().int().numpy()


def test_single_frames_all_differ_and_none_is_the_reference(clip):
    batch = clip.batch(draw(FRAMES - 1, consecutive=False), 0, range(8))
    assert batch.encoded
    assert batch.targets.shape == (8, 4, FRAMES - 1, 2, 3)
    assert batch.poses.shape == (8, FRAMES - 1, 3, 16, 24)
    for reference, targets in zip(*numbers(batch), strict=True):
        assert sorted([reference, *targets]) == list(range(1, FRAMES + 1))


def test_runs_follow_each_other_and_reach_both_ends(clip):
    steps = [clip.batch(draw(4, consecutive=True), step, range(8)) for step in range(8)]
    runs = np.concatenate([numbers(batch)[1] for batch in steps])
    assert (np.diff(runs) == 1).all()
    assert (runs.min(), runs.max()) == (1, FRAMES)


def test_a_row_depends_on_the_step_and_not_on_other_rows(clip):
    wish = draw(2, consecutive=False)
    whole, part = clip.batch(wish, 5, range(8)), clip.batch(wish, 5, [6, 2])
    assert torch.equal(whole.targets[[6, 2]], part.targets)
    assert torch.equal(whole.reference[[6, 2]], part.reference)
    assert not torch.equal(whole.targets, clip.batch(wish, 6, range(8)).targets)


@pytest.mark.parametrize(("frames", "consecutive", "most"), [(10, False, 9), (11, True, 10)])
def test_the_error_for_a_short_clip_says_how_many_frames_fit(clip, frames, consecutive, most):
    with pytest.raises(InputError, match=f"example of {frames} .* Choose {most} or fewer"):
        clip.batch(draw(frames, consecutive=consecutive), 0, [0])
    clip.batch(draw(most, consecutive=consecutive), 0, [0])


BAD = {
    "length": (numbered(), numbered(4), "poses got 4 of 24x16 pixels and frames 10 of 24x16"),
    "size": (numbered(), numbered()[:, :8], "poses got 10 of 24x8"),
    "one frame": (numbered(1), numbered(1), "Give 2 frames or more"),
    "nobody": (numbered(), numbered() * 0, "10 black pictures, which show no person"),
}


@pytest.mark.parametrize(("frames", "poses", "words"), BAD.values(), ids=BAD)
def test_unusable_frames_and_poses_are_refused(frames, poses, words):
    with pytest.raises(InputError, match=words):
        OwnClip.encoded(frames, poses, Numbers(), Token())


def test_progress_counts_the_frames_encoded():
    told = []
    OwnClip.encoded(
        numbered(), numbered(), Numbers(), Token(), lambda done, total: told.append((done, total))
    )
    assert told == [(frame, 10) for frame in range(1, 11)]


@pytest.mark.parametrize(("side", "most"), [(16, 8), (256, 8), (512, 2), (1024, 1)])
def test_large_frames_are_encoded_few_at_once(side, most):
    """Between two calls of the encoder the user may cancel."""
    calls: list[int] = []

    class Counted(Numbers):
        def encode(self, frames: torch.Tensor) -> torch.Tensor:
            calls.append(len(frames))
            return super().encode(frames)

    frames = np.full((9, side, side, 3), 7, np.uint8)
    OwnClip.encoded(frames, frames, Counted(), Token())
    assert max(calls) == most
    assert sum(calls) == 9


@pytest.mark.parametrize(
    ("stage", "frames", "available", "expected"),
    [(1, 0, 10, 4), (1, 0, 3, 2), (2, 0, 10, 10), (2, 0, 90, 24), (2, 0, None, 24), (1, 7, 5, 7)],
)
def test_frames_per_example_fit_stage_and_clip(stage, frames, available, expected):
    config = fine_tune_config(AA_MINI, stage, frames=frames, available=available)
    assert config.frames == expected
    assert not config.train_image_encoder


def test_more_frames_than_temporal_layers_have_positions_are_refused():
    assert AA_MINI.unet.motion is not None
    most = AA_MINI.unet.motion.max_frames
    with pytest.raises(InputError, match=f"positions for {most}. Choose as many or fewer"):
        fine_tune_config(AA_MINI, 2, frames=most + 1)


def test_a_folder_of_something_else_is_never_deleted(tmp_path):
    folder, target = tmp_path / "run", tmp_path / "run.safetensors"
    folder.mkdir()
    (folder / "picture.png").touch()
    config = fine_tune_config(AA_MINI, 1)
    with pytest.raises(InputError, match="is not a training run"):
        claim(folder, target, config, {}, again=True)
    assert (folder / "picture.png").exists()


def test_a_run_is_resumed_with_more_steps_but_not_with_other_material(tmp_path):
    folder, target = tmp_path / "run", tmp_path / "run.safetensors"
    claim(folder, target, fine_tune_config(AA_MINI, 1), {"material": "a"}, again=False)
    claim(folder, target, fine_tune_config(AA_MINI, 1, steps=9), {"material": "a"}, again=False)
    with pytest.raises(InputError, match="material was 'a' and is 'b'"):
        claim(folder, target, fine_tune_config(AA_MINI, 1), {"material": "b"}, again=False)
    claim(folder, target, fine_tune_config(AA_MINI, 1), {"material": "b"}, again=True)


def test_a_run_of_an_earlier_version_lacks_settings_and_is_resumed(tmp_path):
    folder, target = tmp_path / "run", tmp_path / "run.safetensors"
    config = fine_tune_config(AA_MINI, 1)
    claim(folder, target, config, {}, again=False)
    begun = json.loads((folder / BEGUN).read_text())
    del begun["min_snr_formula"], begun["references"]
    (folder / BEGUN).write_text(json.dumps(begun))
    claim(folder, target, config, {}, again=False)
    with pytest.raises(InputError, match="references was 1 and is 2"):
        claim(folder, target, fine_tune_config(AA_MINI, 1, references=2), {}, again=False)


@pytest.mark.parametrize("setting", [{"distance": 2}, {"least_crop": 0.8}], ids=str)
def test_settings_of_prepared_clips_are_refused(setting):
    clip = OwnClip(np.zeros((9, 4, 8, 8)), np.zeros((9, 1, 8)), np.zeros((9, 64, 64, 3)))
    draw = Draw(seed=0, examples=1, frames=2, consecutive=False, **setting)
    with pytest.raises(InputError, match="examples of one clip in memory cannot be drawn so"):
        clip.batch(draw, 0, [0])
