import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from animate_anyone.animate import animate, kept, sampling_of
from animate_anyone.animate.continuing import (
    Piece,
    animate_in_pieces,
    check_held,
    encode_beginning,
    encode_reference_beginning,
    plan_pieces,
)
from animate_anyone.animate.keeping import FrameInputs, composite, sampled_cells
from animate_anyone.animate.kept import Kept, fade_in
from animate_anyone.config import ScheduleConfig
from animate_anyone.diffusion.sampler_table import SAMPLERS
from animate_anyone.diffusion.samplers import sample
from animate_anyone.diffusion.schedule import NoiseSchedule
from animate_anyone.errors import InputError
from animate_anyone.media import to_bytes
from animate_anyone.types import Size

SIZE = Size(32, 48)


def poses_of(frames):
    rng = np.random.default_rng(5)
    return rng.integers(0, 255, (frames, SIZE.height, SIZE.width, 3), np.uint8)


def short(small, **changes):
    usual = sampling_of(small.preset)
    return replace(usual, steps=2, **{"windows": replace(usual.windows, overlap=2), **changes})


def made(models, pieces, sampling, reference=None, inputs=None, **more):
    reference = torch.rand(1, 3, 48, 32) if reference is None else reference
    frames = sum(piece.frames - piece.held for piece in pieces)
    inputs = map(FrameInputs, poses_of(frames)) if inputs is None else inputs
    parts = animate_in_pieces(models, reference, iter(inputs), pieces, sampling, **more)
    return np.concatenate([part.frames for part in parts])


@pytest.mark.parametrize(
    ("frames", "length", "held", "expected"),
    [
        (600, None, 4, [(600, 0)]),
        (24, 24, 4, [(24, 0)]),
        (25, 24, 4, [(15, 0), (14, 4)]),
        (44, 24, 4, [(24, 0), (24, 4)]),
        (21, 12, 3, [(12, 0), (12, 3)]),
        (9, 3, 2, [(3, 0)] + [(3, 2)] * 6),
    ],
)
def test_pieces_cover_the_clip_and_are_even(frames, length, held, expected):
    pieces = plan_pieces(frames, length, held)
    assert sum(piece.frames - piece.held for piece in pieces) == frames
    assert pieces == [Piece(*each) for each in expected]
    lengths = [piece.frames for piece in pieces]
    assert max(lengths) - min(lengths) <= 1
    assert max(lengths) <= (length or frames)


@pytest.mark.parametrize(
    ("frames", "length", "held", "message"),
    [
        (20, 10, 0, r"held got 0; it must be in 1\.\.8"),
        (20, 10, 9, r"held got 9; it must be in 1\.\.8"),
        (20, 0, 4, r"chunk got 0; a piece needs 1 frame or more"),
        (20, 4, 4, r"chunk got 4 frames with 4 held; .* Choose a chunk of 5 or more"),
    ],
)
def test_pieces_that_bring_nothing_new_are_refused(frames, length, held, message):
    with pytest.raises(InputError, match=message):
        plan_pieces(frames, length, held)


def test_held_frames_need_room_in_the_window_and_no_loop(small):
    usual = sampling_of(small.preset).windows  # of 4 frames
    check_held(3, 9, usual)
    with pytest.raises(InputError, match=r"held got 4 frames; the first window has 4, .* Hold 3"):
        check_held(4, 9, usual)
    with pytest.raises(InputError, match="held got 2 frames; the first window has 2"):
        check_held(2, 2, usual)
    with pytest.raises(InputError, match="loop got set for a clip that begins with held frames"):
        check_held(1, 9, replace(usual, loop=True))


@pytest.mark.parametrize("options", [{}, {"shared_noise": 0.3}, {"repeat_noise": True}])
def test_a_clip_of_one_piece_is_the_same_to_the_last_bit(small, options):
    models, reference, sampling = small.models(), torch.rand(1, 3, 48, 32), short(small, **options)
    chunks = animate(models, reference, poses_of(7), sampling)
    assert np.array_equal(
        np.concatenate([to_bytes(chunk) for chunk in chunks]),
        made(models, plan_pieces(7, None), sampling, reference),
    )


@pytest.mark.parametrize("options", [{"shared_noise": 0.3}, {"repeat_noise": True}])
def test_pieces_hold_the_last_frames_and_give_all_frames_once(small, monkeypatch, options):
    seen, denoise = [], kept.Kept.over
    monkeypatch.setattr(
        kept.Kept, "over", lambda self, latents: seen.append(self) or denoise(self, latents)
    )
    progress = []
    result = made(
        small.models(),
        plan_pieces(11, 6, 2),
        short(small, **options),
        progress=lambda done, total: progress.append((done, total)),
    )
    assert len(result) == 11
    assert all(each.held == 2 for each in seen)
    assert progress[-1][0] == progress[-1][1]
    assert [done for done, _ in progress] == list(range(1, len(progress) + 1))


def test_an_earlier_clip_is_not_shown_again_and_the_reference_is(small):
    models, reference = small.models(), torch.rand(1, 3, 48, 32)
    earlier = encode_beginning(models, torch.rand(2, 3, 48, 32))
    assert earlier.latents.shape == (1, 4, 2, 6, 4)
    pieces = plan_pieces(6, None)
    assert len(made(models, pieces, short(small), reference, beginning=earlier)) == 4
    first = encode_reference_beginning(models, reference, SIZE)
    result = made(models, pieces, short(small), reference, beginning=first)
    assert len(result) == 6
    shown = models.autoencoder.decode(models.autoencoder.encode(reference))
    assert np.abs(result[:1].astype(int) - to_bytes(shown)).max() <= 1


def test_networks_are_let_go_before_the_last_piece_is_decoded(small):
    models, alive = small.models(), []
    refs = {name: weakref.ref(getattr(models, name)) for name in ("denoiser", "reference_net")}
    inputs = map(FrameInputs, poses_of(8))
    parts = animate_in_pieces(
        models,
        torch.rand(1, 3, 48, 32),
        inputs,
        plan_pieces(8, 6, 2),
        short(small),
        let_go=models.let_go,
    )
    for _ in parts:
        alive.append({name for name, ref in refs.items() if ref() is not None})
    assert alive == [{"denoiser"}, set()]


def test_the_encoder_stays_as_long_as_a_kept_background_needs_it(small):
    models, told = small.models(), []
    behind = np.zeros((48, 32, 3), np.uint8)
    mask = np.full((48, 32), 255, np.uint8)
    parts = animate_in_pieces(
        models,
        torch.rand(1, 3, 48, 32),
        (FrameInputs(pose, mask=mask, behind=behind) for pose in poses_of(8)),
        plan_pieces(8, 6, 2),
        short(small),
        let_go=lambda name: (told.append(name), models.let_go(name)),
    )
    assert len(list(parts)) == 2
    assert told == ["reference_net", "image_encoder", "denoiser", "pose_guider", "encoder"]


@pytest.mark.parametrize("prediction", ["sample", "v_prediction"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_ends_at_the_kept_latents_and_shows_their_noise(sampler, prediction):
    """At every step, the first one of pure noise included."""
    schedule = NoiseSchedule(ScheduleConfig(prediction_type=prediction))
    noise, known = torch.randn(1, 2, 5, 3, 3), torch.randn(1, 2, 2, 3, 3)
    held, seen = Kept.first_frames(known, 5), []

    def model(latents, timestep, step):
        seen.append((latents[:, :, :2], schedule.add_noise(known, noise[:, :, :2], timestep)))
        return 0.3 * latents

    result = sample(
        held.held_in(model, noise, schedule),
        noise,
        schedule,
        5,
        sampler,
        torch.Generator().manual_seed(0),
    )
    assert torch.allclose(result[:, :, :2], known, atol=2e-3)
    assert not torch.allclose(result[:, :, 2:], noise[:, :, 2:], atol=0.1)
    assert all(torch.allclose(*pair) for pair in seen)
    assert torch.equal(held.over(result)[:, :, :2], known)


def test_what_is_missed_of_the_last_held_frame_fades(monkeypatch):
    monkeypatch.setattr(kept, "FADED_FRAMES", 3)
    clean, known = torch.zeros(1, 1, 6, 1, 1), torch.full((1, 1, 2, 1, 1), 4.0)
    assert fade_in(clean, known, 2).flatten().tolist() == [0, 0, 3, 2, 1, 0]
    assert fade_in(clean[:, :, :3], known, 2).flatten().tolist() == [0, 0, 3]
    assert fade_in(clean, known, 0) is clean


def scene_of(frames, masks):
    rng = np.random.default_rng(1)
    behind = rng.integers(0, 255, (frames, 48, 32, 3), np.uint8)
    return behind, [
        FrameInputs(*each) for each in zip(poses_of(frames), behind, masks, strict=True)
    ]


def test_outside_of_the_mask_everything_stays_to_the_pixel(small):
    masks = np.zeros((5, 48, 32), np.uint8)
    masks[:, 10:30, 8:20], masks[:, 12:28, 10:18] = 100, 255
    behind, inputs = scene_of(5, masks)
    result = made(small.models(), plan_pieces(5, None), short(small), inputs=inputs)
    assert np.array_equal(result[masks == 0], behind[masks == 0])
    assert (result[masks == 255] != behind[masks == 255]).any()
    pieces = made(small.models(), plan_pieces(5, 4, 1), short(small), inputs=inputs)
    assert np.array_equal(pieces[masks == 0], behind[masks == 0])


@pytest.mark.parametrize("value", [0, 255])
def test_empty_and_full_masks_give_the_background_and_the_plain_clip(small, value):
    models, reference = small.models(), torch.rand(1, 3, 48, 32)
    behind, inputs = scene_of(4, np.full((4, 48, 32), value, np.uint8))
    result = made(models, plan_pieces(4, None), short(small), reference, inputs=inputs)
    plain = made(models, plan_pieces(4, None), short(small), reference)
    if value:
        assert np.abs(result.astype(int) - plain).max() <= 1
    else:
        assert np.array_equal(result, behind)


def test_the_soft_edge_mixes():
    frames, behind = np.full((1, 1, 3, 3), 200, np.uint8), np.zeros((1, 3, 3), np.uint8)
    inputs = [FrameInputs(behind, behind, np.array([[0, 51, 255]], np.uint8))]
    assert composite(frames, inputs)[0, 0, :, 0].tolist() == [0, 40, 200]
    assert composite(frames, [FrameInputs(behind)]) is frames


def test_cells_that_a_mask_touches_and_their_neighbours_are_sampled():
    masks = np.zeros((1, 40, 48), np.uint8)
    masks[0, 17, 24] = 1
    cells = sampled_cells(masks)[0, 0, 0]
    assert cells.shape == (5, 6)
    assert cells.nonzero().tolist() == [[y, x] for y in (1, 2, 3) for x in (2, 3, 4)]
